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

Buffer read_buffer(const Json &value, const Where &where) {
    check_fields(value, where, {{"place", true}, {"at", true}, {"dtype", true}, {"shape", true}});
    Buffer buffer;
    buffer.place = static_cast<Place>(
        read_choice(*value.find("place"), where.field("place"), {"arena", "input", "weight", "constant"}));
    buffer.at = read_whole(*value.find("at"), where.field("at"), 0, MAX_ARENA_BYTES);
    buffer.dtype = read_dtype(*value.find("dtype"), where.field("dtype"));
    buffer.shape = read_wholes(*value.find("shape"), where.field("shape"), 1, MAX_DIM, 0, MAX_RANK);
    buffer.bytes = product(buffer.shape, info(buffer.dtype).bytes);
    return buffer;
}

std::string read_constant(const Json &value, const Where &where) {
    std::string text = read_text(value, where, HEXADECIMAL), bytes;
    auto digit = [&](size_t place) { return text[place] <= '9' ? text[place] - '0' : text[place] - 'a' + 10; };
    for (size_t i = 0; i < text.size(); i += 2) bytes.push_back(static_cast<char>(digit(i) << 4 | digit(i + 1)));
    return bytes;
}

PlanEntry read_plan_entry(const Json &value, const Where &where) {
    check_fields(value, where,
                 {{"program", true},
                  {"batch", true},
                  {"size", true},
                  {"arena_bytes", true},
                  {"constants", true},
                  {"buffers", true},
                  {"calls", true},
                  {"outputs", true}});
    PlanEntry entry;
    entry.program = read_text(*value.find("program"), where.field("program"), NAME);
    entry.batch = read_whole(*value.find("batch"), where.field("batch"), 1, MAX_COMPILED_BATCH);
    entry.size = read_wholes(*value.find("size"), where.field("size"), 1, MAX_DIM, 0, MAX_RANK);
    entry.arena_bytes = read_whole(*value.find("arena_bytes"), where.field("arena_bytes"), 0, MAX_ARENA_BYTES);
    Where constants = where.field("constants"), buffers = where.field("buffers"), calls = where.field("calls");
    for (const Json &item : check_list(*value.find("constants"), constants, 0, MAX_PLAN_BUFFERS).items) {
        entry.constants.push_back(read_constant(item, constants.item(entry.constants.size())));
    }
    for (const Json &item : check_list(*value.find("buffers"), buffers, 1, MAX_PLAN_BUFFERS).items) {
        entry.buffers.push_back(read_buffer(item, buffers.item(entry.buffers.size())));
    }
    for (const Json &item : check_list(*value.find("calls"), calls, 0, MAX_PLAN_CALLS).items) {
        Where here = calls.item(entry.calls.size());
        check_fields(item, here, {{"kernel", true}, {"reads", true}, {"writes", true}});
        PlanCall call;
        call.kernel = read_text(*item.find("kernel"), here.field("kernel"), KERNEL);
        call.reads = read_indices(*item.find("reads"), here.field("reads"), 0, MAX_KERNEL_BUFFERS);
        call.writes = read_indices(*item.find("writes"), here.field("writes"), 0, MAX_KERNEL_BUFFERS);
        entry.calls.push_back(std::move(call));
    }
    entry.outputs = read_indices(*value.find("outputs"), where.field("outputs"), 1, MAX_IO_TENSORS);
    return entry;
}

Plan read_plan(const Json &value, const Where &where) {
    check_fields(value, where, {{"plan_version", true}, {"alignment", true}, {"entries", true}});
    read_whole(*value.find("plan_version"), where.field("plan_version"), 1, PLAN_VERSION);
    read_whole(*value.find("alignment"), where.field("alignment"), ALIGNMENT_BYTES, ALIGNMENT_BYTES);
    Plan plan;
    Where entries = where.field("entries");
    for (const Json &item : check_list(*value.find("entries"), entries, 1, MAX_ENTRIES).items) {
        plan.entries.push_back(read_plan_entry(item, entries.item(plan.entries.size())));
    }
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
