// `plan.json`: each program as a list of kernel calls over one arena (docs/explanation/plan.md).
//
//     Plan plan = decode_plan(data, "plan.json");               // strict, and checked by itself
//     check_plan(plan, target.tensors, "main", program, {});    // against what it runs with
#pragma once

#include <string>
#include <vector>

#include "artifact/target.h"

namespace ob {

enum class Place { Arena, Input, Weight, Constant };

struct Buffer {
    Place place;
    int64_t at;
    ovenbird_dtype dtype;
    Shape shape;
    int64_t bytes; // -1 beyond 2**62
};

struct PlanCall {
    std::string kernel;
    std::vector<uint32_t> reads, writes;
};

struct PlanEntry {
    std::string program;
    int64_t batch;
    Size size;
    int64_t arena_bytes;
    std::vector<std::string> constants; // their bytes
    std::vector<Buffer> buffers;
    std::vector<PlanCall> calls;
    std::vector<uint32_t> outputs;
};

struct Plan {
    std::vector<PlanEntry> entries;
};

// Throws ManifestTooNew for a later version, PlanInvalid for anything else that is wrong.
Plan decode_plan(std::string_view data, const std::string &where);

// Checks each entry by itself: places, indices, what is read and written (plan_checks.cpp).
void check_entries(const Plan &plan, const std::string &where);

// Checks the entries of one program, for one image size, against what they run with.
void check_plan(const Plan &plan, const std::vector<WeightTensor> &weights, const std::string &name,
                const Program &program, const Size &size, const std::string &where);

const char *place_name(Place place);

} // namespace ob
