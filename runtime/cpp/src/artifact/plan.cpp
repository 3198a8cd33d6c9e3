#include "artifact/plan.h"

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

std::vector<uint32_t> read_indices(const Json &value, const Where &where, int64_t least, int64_t most) {
    check_list(value, where, least, most);
    std::vector<uint32_t> found;
    found.reserve(value.items.size());
    for (size_t i = 0; i < value.items.size(); ++i) {
        found.push_back(static_cast<uint32_t>(read_whole(value.items[i], where.item(i), 0, MAX_PLAN_BUFFERS)));
    }
    return found;
}

void read_buffer(Buffer &buffer, const Json &value, const Where &where) {
    check_fields(value, where, "place at dtype shape");
    buffer.place = static_cast<Place>(
        read_choice(*value.find("place"), where.field("place"), {"arena", "input", "weight", "constant"}));
    buffer.at = whole_field(value, where, "at", 0, MAX_ARENA_BYTES);
    buffer.dtype = read_dtype(*value.find("dtype"), where.field("dtype"));
    buffer.shape = wholes_field(value, where, "shape", 1, MAX_DIM, 0, MAX_RANK);
    buffer.bytes = product(buffer.shape, info(buffer.dtype).bytes);
}

void read_constant(std::string &bytes, const Json &value, const Where &where) {
    std::string text = read_text(value, where, HEXADECIMAL);
    auto digit = [&](size_t place) { return text[place] <= '9' ? text[place] - '0' : text[place] - 'a' + 10; };
    for (size_t i = 0; i < text.size(); i += 2) bytes.push_back(static_cast<char>(digit(i) << 4 | digit(i + 1)));
}

void read_call(PlanCall &call, const Json &value, const Where &where) {
    check_fields(value, where, "kernel reads writes");
    call.kernel = text_field(value, where, "kernel", KERNEL);
    call.reads = read_indices(*value.find("reads"), where.field("reads"), 0, MAX_KERNEL_BUFFERS);
    call.writes = read_indices(*value.find("writes"), where.field("writes"), 0, MAX_KERNEL_BUFFERS);
}

void read_plan_entry(PlanEntry &entry, const Json &value, const Where &where) {
    check_fields(value, where, "program batch size arena_bytes constants buffers calls outputs");
    entry.program = text_field(value, where, "program", NAME);
    entry.batch = whole_field(value, where, "batch", 1, MAX_COMPILED_BATCH);
    entry.size = wholes_field(value, where, "size", 1, MAX_DIM, 0, MAX_RANK);
    entry.arena_bytes = whole_field(value, where, "arena_bytes", 0, MAX_ARENA_BYTES);
    Where constants = where.field("constants"), buffers = where.field("buffers"), calls = where.field("calls");
    entry.constants =
        read_items<std::string>(*value.find("constants"), constants, 0, MAX_PLAN_BUFFERS, read_constant);
    entry.buffers = read_items<Buffer>(*value.find("buffers"), buffers, 1, MAX_PLAN_BUFFERS, read_buffer);
    entry.calls = read_items<PlanCall>(*value.find("calls"), calls, 0, MAX_PLAN_CALLS, read_call);
    entry.outputs = read_indices(*value.find("outputs"), where.field("outputs"), 1, MAX_IO_TENSORS);
}

Plan read_plan(const Json &value, const Where &where) {
    check_fields(value, where, "plan_version alignment entries");
    whole_field(value, where, "plan_version", 1, PLAN_VERSION);
    whole_field(value, where, "alignment", ALIGNMENT_BYTES, ALIGNMENT_BYTES);
    Plan plan;
    Where entries = where.field("entries");
    plan.entries = read_items<PlanEntry>(*value.find("entries"), entries, 1, MAX_ENTRIES, read_plan_entry);
    return plan;
}

} // namespace

const char *place_name(Place place) {
    static const char *names[] = {"arena", "input", "weight", "constant"};
    return names[static_cast<int>(place)];
}

Plan decode_plan(std::string_view data, const std::string &where) {
    Plan plan;
    try {
        Json value = parse_json(data, where);
        const Json *version = value.find("plan_version");
        if (version && version->kind == Json::Kind::Integer &&
            (version->huge ? version->real > 0 : version->integer > PLAN_VERSION)) {
            fail(OVENBIRD_MANIFEST_TOO_NEW, where, " has plan version ", shown(*version), ", this runtime reads up to ",
                 PLAN_VERSION, ": upgrade it");
        }
        plan = read_plan(value, Where(where));
    } catch (Error &error) {
        if (error.status == OVENBIRD_MANIFEST_INVALID) error.status = OVENBIRD_PLAN_INVALID;
        throw;
    }
    check_entries(plan, where);
    return plan;
}

} // namespace ob
