#include "tensors/inputs.h"

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "tensors/convert.h"

namespace ob {

AlignedBytes::AlignedBytes(size_t bytes) : bytes_(bytes) {
    size_t rounded = std::max<size_t>(1, (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    data_.reset(static_cast<unsigned char *>(std::aligned_alloc(ALIGNMENT_BYTES, rounded)));
    if (!data_) fail(OVENBIRD_OUT_OF_MEMORY, "there is no memory for a tensor of ", bytes, " bytes");
}

namespace {

std::string names_text(const std::vector<TensorSpec> &specs) {
    std::vector<std::string> names;
    for (size_t i = 0; i < specs.size() && i < 8; ++i) names.push_back(specs[i].name);
    return join(names) + (specs.size() > 8 ? " ..." : "");
}

const ovenbird_tensor *find(const ovenbird_tensor *inputs, size_t count, const std::string &name) {
    for (size_t i = 0; i < count; ++i) {
        if (inputs[i].name && name == inputs[i].name) return &inputs[i];
    }
    return nullptr;
}

void check_names(const std::vector<TensorSpec> &specs, const ovenbird_tensor *inputs, size_t count) {
    std::string what;
    for (const TensorSpec &spec : specs) {
        if (what.empty() && !find(inputs, count, spec.name)) what = str("lacks ", shown(spec.name));
    }
    std::set<std::string> seen;
    for (size_t i = 0; i < count && what.empty(); ++i) {
        std::string name = inputs[i].name ? inputs[i].name : "";
        bool known = std::any_of(specs.begin(), specs.end(), [&](const TensorSpec &spec) { return spec.name == name; });
        if (!known) what = str("has ", shown(name));
        if (!seen.insert(name).second) what = str("has ", shown(name), " twice");
    }
    if (!what.empty()) {
        fail(OVENBIRD_WRONG_INPUT_NAMES, "the call ", what, "; the network's inputs are ", names_text(specs));
    }
}

void check_dims(const TensorSpec &spec, const Shape &shape) {
    bool fits = shape.size() == spec.shape.size();
    for (size_t d = 0; fits && d < shape.size(); ++d) fits = spec.shape[d] < 0 || spec.shape[d] == shape[d];
    if (!fits) {
        fail(OVENBIRD_WRONG_SHAPE, spec.name, " has shape ", shape_text(shape), ", the network takes ",
             shape_text(spec.shape, false));
    }
    if (spec.batched() && shape[0] < 1) {
        fail(OVENBIRD_WRONG_SHAPE, spec.name, " has shape ", shape_text(shape), ": a batch holds at least 1");
    }
}

CheckedInput check_tensor(const TensorSpec &spec, const ovenbird_tensor &given, const Shape &shape, bool allow_nan) {
    const DtypeInfo &want = info(spec.dtype), &have = info(given.dtype);
    auto kind = [](const DtypeInfo &one) { return one.kind == 'u' ? 'i' : one.kind; };
    if (kind(want) != kind(have)) {
        fail(OVENBIRD_WRONG_DTYPE, spec.name, " is '", have.name, "', the network takes ", want.name, ": convert it");
    }
    check_dims(spec, shape);
    int64_t bytes = product(shape, have.bytes);
    if (bytes < 0 || static_cast<size_t>(bytes) != given.bytes || (bytes && !given.data)) {
        fail(OVENBIRD_WRONG_SHAPE, spec.name, " has ", given.bytes, " bytes, its shape ", shape_text(shape), " takes ",
             bytes < 0 ? "more than 2**62" : std::to_string(bytes));
    }
    size_t count = static_cast<size_t>(bytes / have.bytes);
    CheckedInput found{static_cast<const unsigned char *>(given.data), {}};
    bool misplaced = reinterpret_cast<uintptr_t>(given.data) % static_cast<uintptr_t>(have.bytes) != 0;
    if (spec.dtype != given.dtype || misplaced) {
        found.converted = AlignedBytes(count * static_cast<size_t>(want.bytes));
        convert(spec, given.dtype, given.data, count, found.converted.data());
        found.data = found.converted.data();
    }
    size_t bad = allow_nan ? 0 : count_not_finite(spec.dtype, found.data, count);
    if (bad) {
        fail(OVENBIRD_NOT_FINITE, spec.name, " holds ", bad, " values that are NaN or infinite as ", want.name,
             " (allow them with OVENBIRD_ALLOW_NAN)");
    }
    return found;
}

Size size_of(const Program &program, const std::vector<Shape> &shapes) {
    if (program.sizes.empty()) return {};
    for (const ProgramSize &one : program.sizes) {
        bool fits = true;
        for (size_t i = 0; fits && i < shapes.size(); ++i) {
            size_t first = program.inputs[i].batched() ? 1 : 0;
            fits = std::equal(shapes[i].begin() + static_cast<long>(first), shapes[i].end(),
                              one.inputs[i].begin() + static_cast<long>(first), one.inputs[i].end());
        }
        if (fits) return one.size;
    }
    std::vector<std::string> what;
    for (size_t i = 0; i < shapes.size(); ++i) {
        what.push_back(str(program.inputs[i].name, " has shape ", shape_text(shapes[i])));
    }
    fail(OVENBIRD_WRONG_SHAPE, join(what), ": the network was compiled for images of ",
         sizes_text(program.image_sizes()), " (height x width)");
}

} // namespace

CheckedInputs check_inputs(const Program &program, const ovenbird_tensor *inputs, size_t count, bool allow_nan) {
    check_names(program.inputs, inputs, count);
    CheckedInputs found;
    std::vector<Shape> shapes;
    std::set<int64_t> batches;
    for (const TensorSpec &spec : program.inputs) {
        const ovenbird_tensor &given = *find(inputs, count, spec.name);
        if (given.rank < 0 || given.rank > OVENBIRD_MAX_RANK || given.dtype < 0 || given.dtype > OVENBIRD_BOOL) {
            fail(OVENBIRD_WRONG_OPTION, spec.name, " has rank ", given.rank, " and dtype ",
                 static_cast<int>(given.dtype), ", which are not known");
        }
        shapes.emplace_back(given.shape, given.shape + given.rank);
        for (int64_t &dim : shapes.back()) dim = std::max<int64_t>(dim, 0);
        found.tensors.push_back(check_tensor(spec, given, shapes.back(), allow_nan));
        if (spec.batched()) batches.insert(shapes.back()[0]);
    }
    if (batches.size() > 1) {
        std::vector<std::string> texts;
        for (int64_t batch : batches) texts.push_back(std::to_string(batch));
        fail(OVENBIRD_WRONG_SHAPE, "the inputs have different batch sizes: ", join(texts));
    }
    if (!batches.empty()) found.batch = *batches.begin();
    found.size = size_of(program, shapes);
    return found;
}

} // namespace ob
