#include "artifact/plan.h"

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

void read_index(uint32_t &index, const Value &value) {
    index = static_cast<uint32_t>(read_whole(value, 0, MAX_PLAN_BUFFERS));
}

std::vector<uint32_t> read_indices(const Value &value, int64_t least, int64_t most) {
    return read_items<uint32_t>(value, least, most, read_index);
}

void read_buffer(Buffer &buffer, const Value &value) {
    check_fields(value, "place at dtype shape");
    value.choice("place", buffer.place, "arena input weight constant");
    value.whole("at", buffer.at, 0, MAX_ARENA_BYTES);
    buffer.dtype = read_dtype(value.field("dtype"));
    value.shape("shape", buffer.shape, 1, MAX_DIM, 0, MAX_RANK);
    buffer.bytes = product(buffer.shape, info(buffer.dtype).bytes);
}

void read_constant(std::string &bytes, const Value &value) {
    std::string text = read_text(value, HEXADECIMAL);
    auto digit = [&](size_t place) { return text[place] <= '9' ? text[place] - '0' : text[place] - 'a' + 10; };
    for (size_t i = 0; i < text.size(); i += 2) bytes.push_back(static_cast<char>(digit(i) << 4 | digit(i + 1)));
}

void read_call(PlanCall &call, const Value &value) {
    check_fields(value, "kernel reads writes");
    value.text("kernel", call.kernel, KERNEL);
    call.reads = read_indices(value.field("reads"), 0, MAX_KERNEL_BUFFERS);
    call.writes = read_indices(value.field("writes"), 0, MAX_KERNEL_BUFFERS);
}

void read_plan_entry(PlanEntry &entry, const Value &value) {
    check_fields(value, "program batch size arena_bytes constants buffers calls outputs");
    value.text("program", entry.program, NAME);
    value.whole("batch", entry.batch, 1, MAX_COMPILED_BATCH);
    value.shape("size", entry.size, 1, MAX_DIM, 0, MAX_RANK);
    value.whole("arena_bytes", entry.arena_bytes, 0, MAX_ARENA_BYTES);
    entry.constants = read_items<std::string>(value.field("constants"), 0, MAX_PLAN_BUFFERS, read_constant);
    entry.buffers = read_items<Buffer>(value.field("buffers"), 1, MAX_PLAN_BUFFERS, read_buffer);
    entry.calls = read_items<PlanCall>(value.field("calls"), 0, MAX_PLAN_CALLS, read_call);
    entry.outputs = read_indices(value.field("outputs"), 1, MAX_IO_TENSORS);
}

Plan read_plan(const Value &value) {
    check_fields(value, "plan_version alignment entries");
    read_whole(value.field("plan_version"), 1, PLAN_VERSION);
    read_whole(value.field("alignment"), ALIGNMENT_BYTES, ALIGNMENT_BYTES);
    return {read_items<PlanEntry>(value.field("entries"), 1, MAX_ENTRIES, read_plan_entry)};
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
        plan = read_plan(Value(value, where));
    } catch (Error &error) {
        if (error.status == OVENBIRD_MANIFEST_INVALID) error.status = OVENBIRD_PLAN_INVALID;
        throw;
    }
    check_entries(plan, where);
    return plan;
}

} // namespace ob
