// What must hold in a plan before a pointer is made of it (`ovenbird_runtime/artifact/plan_checks.py`);
// conformance/plans has a vector for every rule.
#include <algorithm>
#include <map>

#include "artifact/plan.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/sort.h"
#include "base/text.h"

namespace ob {

namespace {

template <typename... Parts> [[noreturn]] void refuse_plan(const Parts &...message) {
    fail(OVENBIRD_PLAN_INVALID, message...);
}

using Buffers = std::vector<const Buffer *>;

// Which bytes of the arena hold a value at some point of the list.
class Arena {
  public:
    // Puts a value where the buffer is; whatever overlaps it is gone.
    void write(const Buffer &buffer) {
        int64_t start = buffer.at, end = buffer.at + buffer.bytes;
        auto next = held_.lower_bound(start);
        if (next != held_.begin() && std::prev(next)->second.end > start) --next;
        while (next != held_.end() && next->first < end) next = held_.erase(next);
        held_[start] = {end, buffer.dtype};
    }

    // Whether what lies there is one whole value of the buffer's size and dtype.
    bool holds(const Buffer &buffer) const {
        auto found = held_.find(buffer.at);
        return found != held_.end() && found->second.end == buffer.at + buffer.bytes &&
               found->second.dtype == buffer.dtype;
    }

  private:
    struct Value {
        int64_t end;
        ovenbird_dtype dtype;
    };
    std::map<int64_t, Value> held_; // by start; the ranges do not overlap
};

void check_buffer(const PlanEntry &entry, const Buffer &buffer, const std::string &where, size_t index) {
    auto at = [&] { return str(where, ": buffer ", index); };
    if (buffer.place == Place::Arena) {
        if (buffer.at % ALIGNMENT_BYTES) {
            refuse_plan(at(), " begins at byte ", buffer.at, " of the arena, not a multiple of ", ALIGNMENT_BYTES);
        }
        if (buffer.bytes < 0 || buffer.at + buffer.bytes > entry.arena_bytes) {
            std::string end = buffer.bytes < 0 ? "beyond 2**62" : std::to_string(buffer.at + buffer.bytes);
            refuse_plan(at(), " ends at byte ", end, ", the arena has ", entry.arena_bytes);
        }
    }
    if (buffer.place == Place::Constant) {
        if (buffer.at >= static_cast<int64_t>(entry.constants.size())) {
            refuse_plan(at(), " is constant ", buffer.at, ", there are ", entry.constants.size());
        }
        int64_t found = static_cast<int64_t>(entry.constants[static_cast<size_t>(buffer.at)].size());
        if (found != buffer.bytes) {
            refuse_plan(at(), " takes ", buffer.bytes, " bytes, constant ", buffer.at, " has ", found);
        }
    }
}

Buffers buffers_of(const PlanEntry &entry, const std::vector<uint32_t> &indices, const std::string &where) {
    Buffers found;
    found.reserve(indices.size());
    for (uint32_t index : indices) {
        if (index >= entry.buffers.size()) {
            refuse_plan(where, " names buffer ", index, ", there are ", entry.buffers.size());
        }
        found.push_back(&entry.buffers[index]);
    }
    return found;
}

void check_reads(const Arena &arena, const Buffers &buffers, const std::string &where) {
    for (const Buffer *buffer : buffers) {
        if (buffer->place != Place::Arena || arena.holds(*buffer)) continue;
        refuse_plan(where, " reads ", buffer->bytes, " bytes at byte ", buffer->at,
                    " of the arena, where no such value was written or another has taken its place");
    }
}

// Refuses a call that writes elsewhere than to the arena, or over what it reads or writes too.
void check_apart(const Buffers &reads, const Buffers &writes, const std::string &where) {
    struct Span {
        int64_t start, end;
        bool written;
        bool operator<(const Span &other) const {
            return std::tie(start, end, written) < std::tie(other.start, other.end, other.written);
        }
    };
    std::vector<Span> spans;
    for (const Buffer *buffer : reads) {
        if (buffer->place == Place::Arena) spans.push_back({buffer->at, buffer->at + buffer->bytes, false});
    }
    for (const Buffer *buffer : writes) {
        if (buffer->place != Place::Arena) {
            refuse_plan(where, " writes to ", place_name(buffer->place), " ", buffer->at,
                        ": only the arena may be written to");
        }
        spans.push_back({buffer->at, buffer->at + buffer->bytes, true});
    }
    sort(spans);
    int64_t read_to = 0, written_to = 0; // the furthest ends so far
    for (const Span &span : spans) {
        if (span.start < written_to || (span.written && span.start < read_to)) {
            refuse_plan(where, " writes over what it reads or writes too, at byte ", span.start, " of the arena");
        }
        if (span.written) {
            written_to = span.end;
        } else {
            read_to = std::max(read_to, span.end);
        }
    }
}

void check_entry(const PlanEntry &entry, const std::string &where) {
    for (size_t i = 0; i < entry.buffers.size(); ++i) check_buffer(entry, entry.buffers[i], where, i);
    Arena arena;
    for (size_t i = 0; i < entry.calls.size(); ++i) {
        const PlanCall &call = entry.calls[i];
        std::string at = str(where, ": call ", i, " (", call.kernel, ")");
        Buffers reads = buffers_of(entry, call.reads, at), writes = buffers_of(entry, call.writes, at);
        check_reads(arena, reads, at);
        if (writes.empty()) refuse_plan(at + " writes nothing");
        check_apart(reads, writes, at);
        for (const Buffer *buffer : writes) arena.write(*buffer);
    }
    std::string outputs = where + ".outputs";
    check_reads(arena, buffers_of(entry, entry.outputs, outputs), outputs);
}

// Refuses a view that is not the whole of the input or weight which it names.
void check_given(const Buffer &buffer, const std::vector<std::pair<ovenbird_dtype, Shape>> &given,
                 const std::string &where) {
    const char *place = place_name(buffer.place);
    if (buffer.at >= static_cast<int64_t>(given.size())) {
        refuse_plan(where, " is ", place, " ", buffer.at, ", there are ", given.size());
    }
    const auto &[dtype, shape] = given[static_cast<size_t>(buffer.at)];
    if (buffer.dtype == dtype && buffer.bytes >= 0 && buffer.bytes == product(shape, info(dtype).bytes)) return;
    refuse_plan(where, " is ", info(buffer.dtype).name, " ", shape_text(buffer.shape), ", ", place, " ", buffer.at,
                " is ", info(dtype).name, " ", shape_text(shape));
}

std::string tensors_text(const std::vector<std::pair<ovenbird_dtype, Shape>> &tensors) {
    std::vector<std::string> texts;
    for (const auto &[dtype, shape] : tensors)
        texts.push_back(str("('", info(dtype).name, "', ", shape_text(shape), ")"));
    return cut("[" + join(texts) + "]");
}

} // namespace

void check_entries(const Plan &plan, const std::string &where) {
    std::vector<std::tuple<std::string, int64_t, Size>> keys;
    for (const PlanEntry &entry : plan.entries) keys.emplace_back(entry.program, entry.batch, entry.size);
    sort(keys);
    auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) {
        const auto &[program, batch, size] = *twice;
        refuse_plan(
            str(where, " has two entries for (", quoted(program), ", ", batch, ", ", cut(shape_text(size)), ")"));
    }
    for (size_t i = 0; i < plan.entries.size(); ++i) check_entry(plan.entries[i], str(where, ": entry ", i));
}

void check_plan(const Plan &plan, const std::vector<WeightTensor> &weights, const std::string &name,
                const Program &program, const Size &size, const std::string &where) {
    std::vector<std::pair<ovenbird_dtype, Shape>> tensors;
    for (const WeightTensor &tensor : weights) tensors.emplace_back(tensor.dtype, tensor.shape);
    for (size_t number = 0; number < plan.entries.size(); ++number) {
        const PlanEntry &entry = plan.entries[number];
        if (entry.program != name || (!size.empty() && entry.size != size)) continue;
        std::string here = str(where, ": entry ", number);
        std::vector<std::pair<ovenbird_dtype, Shape>> given, found, expected;
        for (const TensorSpec &spec : program.inputs) given.emplace_back(spec.dtype, spec.with_batch(entry.batch));
        for (size_t i = 0; i < entry.buffers.size(); ++i) {
            const Buffer &buffer = entry.buffers[i];
            if (buffer.place == Place::Input) check_given(buffer, given, str(here, ": buffer ", i));
            if (buffer.place == Place::Weight) check_given(buffer, tensors, str(here, ": buffer ", i));
        }
        for (uint32_t index : entry.outputs) found.emplace_back(entry.buffers[index].dtype, entry.buffers[index].shape);
        for (const TensorSpec &spec : program.outputs) expected.emplace_back(spec.dtype, spec.with_batch(entry.batch));
        if (found != expected) {
            refuse_plan(
                str(here, " gives ", tensors_text(found), ", the program's outputs are ", tensors_text(expected)));
        }
    }
}

} // namespace ob
