#include "artifact/program.h"

#include <algorithm>

#include "artifact/answers.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/sort.h"
#include "base/text.h"

namespace ob {

Shape TensorSpec::with_batch(int64_t batch) const {
    Shape found = shape;
    if (batched()) found[0] = batch;
    return found;
}

bool Program::batched() const {
    return std::any_of(inputs.begin(), inputs.end(), [](const TensorSpec &spec) { return spec.batched(); });
}

std::vector<Size> Program::image_sizes() const {
    std::vector<Size> found;
    for (const ProgramSize &one : sizes) found.push_back(one.size);
    if (found.empty()) found.emplace_back();
    return found;
}

Size Program::image_size() const {
    const Shape &shape = inputs[0].shape;
    bool image = inputs.size() == 1 && shape.size() == 4 && shape[1] == 3 && sizes.empty();
    return image ? Size{shape[2], shape[3]} : Size{};
}

const Pipeline *Program::pipeline(std::string_view name) const {
    for (const auto &[known, steps] : pipelines) {
        if (known == name) return &steps;
    }
    return nullptr;
}

namespace {

int64_t read_dim(const Value &value, bool open) {
    if (value->kind == Json::Kind::Integer && !value->huge && value->integer >= 0 && value->integer <= MAX_DIM) {
        return value->integer;
    }
    if (value->kind == Json::Kind::String && value->text.size() == 1) {
        size_t place = std::string_view(open ? "NHW?" : "N").find(value->text[0]);
        if (place != std::string_view::npos) return -1 - static_cast<int64_t>(place);
    }
    refuse(value, "another kind of value (see the JSON Schema)");
}

Shape read_shape(const Value &value, bool open) {
    Shape shape;
    size_t rank = check_list(value, 0, MAX_RANK);
    for (size_t d = 0; d < rank; ++d) shape.push_back(read_dim(value.item(d), open));
    return shape;
}

void read_spec(TensorSpec &spec, const Value &value) {
    check_fields(value, "name dtype shape layout?");
    value.text("name", spec.name, NAME);
    spec.dtype = read_dtype(value.field("dtype"));
    spec.shape = read_shape(value.field("shape"), true);
    value.text("layout", spec.layout, LAYOUT);
}

void read_size_shape(Shape &shape, const Value &value) { shape = read_shape(value, false); }

void read_program_size(ProgramSize &one, const Value &value) {
    check_fields(value, "size inputs outputs");
    value.shape("size", one.size, 1, MAX_SIDE_PIXELS, 2, 2);
    one.inputs = read_items<Shape>(value.field("inputs"), 1, MAX_IO_TENSORS, read_size_shape);
    one.outputs = read_items<Shape>(value.field("outputs"), 1, MAX_IO_TENSORS, read_size_shape);
}

void read_preprocess(Program &program, const Value &value) {
    check_fields(value, "default? pipelines?");
    if (Value name = value.given("default")) program.default_pipeline = read_text(name, NAME);
    if (Value pipelines = value.field("pipelines")) {
        size_t count = check_object(pipelines, 0, MAX_PIPELINES, &NAME);
        for (size_t i = 0; i < count; ++i) {
            program.pipelines.emplace_back(pipelines->names[i], read_pipeline(pipelines.entry(i)));
        }
    }
}

// Refuses sizes that are not what the shapes of the program say.
void check_sizes(const Program &program, const std::string &where) {
    auto open = [](const TensorSpec &spec) {
        return std::any_of(spec.shape.begin(), spec.shape.end(), [](int64_t dim) { return dim < DIM_BATCH; });
    };
    std::vector<TensorSpec> specs = program.inputs;
    specs.insert(specs.end(), program.outputs.begin(), program.outputs.end());
    if (program.sizes.empty()) {
        for (const TensorSpec &spec : specs) {
            if (open(spec)) {
                invalid(where, ": ", spec.name, " is ", shape_text(spec.shape), ", but there are no image sizes");
            }
        }
        return;
    }
    if (std::none_of(program.inputs.begin(), program.inputs.end(), open)) {
        invalid(where, ": there are image sizes, but no input's shape depends on them");
    }
    std::vector<std::string> names;
    std::vector<std::vector<Shape>> inputs;
    for (const ProgramSize &one : program.sizes) {
        names.push_back(size_text(one.size));
        inputs.push_back(one.inputs);
    }
    check_unique(names, "image sizes", where);
    sort(inputs);
    if (std::adjacent_find(inputs.begin(), inputs.end()) != inputs.end()) {
        invalid(where, ": two image sizes have inputs of the same shapes");
    }
    for (const ProgramSize &one : program.sizes) {
        if (one.inputs.size() != program.inputs.size() || one.outputs.size() != program.outputs.size()) {
            invalid(where, ": size ", size_text(one.size), " has ", one.inputs.size(), " inputs and ",
                    one.outputs.size(), " outputs, the program ", program.inputs.size(), " and ",
                    program.outputs.size());
        }
        std::vector<Shape> shapes = one.inputs;
        shapes.insert(shapes.end(), one.outputs.begin(), one.outputs.end());
        for (size_t i = 0; i < specs.size(); ++i) {
            const Shape &wanted = specs[i].shape, &found = shapes[i];
            bool fits = wanted.size() == found.size();
            for (size_t d = 0; fits && d < wanted.size(); ++d) {
                int64_t dim = wanted[d];
                int64_t expected = dim == DIM_HEIGHT ? one.size[0] : dim == DIM_WIDTH ? one.size[1] : dim;
                fits = dim == DIM_OPEN ? found[d] >= 0 : found[d] == expected;
            }
            if (!fits) {
                invalid(where, ": ", specs[i].name, " is ", shape_text(wanted), ", and ", shape_text(found),
                        " for images of ", size_text(one.size));
            }
        }
    }
}

} // namespace

Program read_program(const Value &value) {
    check_fields(value, "inputs outputs preprocess? postprocess? sizes?");
    Program program;
    program.inputs = read_items<TensorSpec>(value.field("inputs"), 1, MAX_IO_TENSORS, read_spec);
    program.outputs = read_items<TensorSpec>(value.field("outputs"), 1, MAX_IO_TENSORS, read_spec);
    if (Value preprocess = value.field("preprocess")) read_preprocess(program, preprocess);
    if (Value steps = value.field("postprocess")) {
        program.answers = read_items<AnswerStep>(steps, 0, MAX_IO_TENSORS, read_answer);
    }
    if (Value sizes = value.field("sizes")) {
        program.sizes = read_items<ProgramSize>(sizes, 0, MAX_IMAGE_SIZES, read_program_size);
    }
    return program;
}

Program at(const Program &program, const Size &size) {
    if (size.empty() && program.sizes.empty()) return program;
    for (const ProgramSize &one : program.sizes) {
        if (one.size != size) continue;
        Program found = program;
        for (size_t i = 0; i < found.inputs.size(); ++i) found.inputs[i].shape = one.inputs[i];
        for (size_t i = 0; i < found.outputs.size(); ++i) found.outputs[i].shape = one.outputs[i];
        found.sizes.clear();
        return found;
    }
    fail(OVENBIRD_WRONG_SHAPE, "images of ", size.empty() ? "any size" : size_text(size),
         ": the network was compiled for images of ", sizes_text(program.image_sizes()), " (height x width)");
}

void check_program(const Program &program, const std::vector<std::string> &files, const std::string &where) {
    for (const auto *specs : {&program.inputs, &program.outputs}) {
        std::vector<std::string> names;
        for (const TensorSpec &spec : *specs) names.push_back(spec.name);
        check_unique(names, specs == &program.inputs ? "inputs" : "outputs", where);
        for (const TensorSpec &spec : *specs) {
            for (size_t d = 1; d < spec.shape.size(); ++d) {
                if (spec.shape[d] != DIM_BATCH) continue;
                invalid(where, ": ", spec.name, " has \"N\" beyond its first dimension: ", shape_text(spec.shape));
            }
        }
    }
    check_sizes(program, where);
    for (const Size &size : program.image_sizes()) check_call(at(program, size), 1, where);
    for (const TensorSpec &spec : program.outputs) {
        if (spec.batched() != program.batched()) {
            invalid(where, ": all outputs must begin with \"N\" where an input does, and none where none does");
        }
    }
    if (program.default_pipeline && !program.pipeline(*program.default_pipeline)) {
        std::vector<std::string> names;
        for (const auto &[name, steps] : program.pipelines) names.push_back(quoted(name));
        sort(names);
        invalid(where, ": the default pipeline ", shown(*program.default_pipeline), " is not among ",
                cut("[" + join(names) + "]"));
    }
    for (const auto &[name, pipeline] : program.pipelines) {
        std::string wrong = problem(pipeline);
        if (!wrong.empty()) invalid(where, ": pipeline ", shown(name), ": ", wrong);
        std::vector<Size> sizes = program.image_sizes();
        if (program.sizes.empty() || std::count(sizes.begin(), sizes.end(), output_size(pipeline))) continue;
        Size size = output_size(pipeline);
        invalid(where, ": pipeline ", shown(name), " gives images of ", size.empty() ? "any size" : size_text(size),
                ", the program takes ", sizes_text(sizes));
    }
    for (const Size &size : program.image_sizes()) {
        std::string wrong = answers_problem(at(program, size), files);
        if (!wrong.empty()) invalid(where, ": ", wrong);
    }
}

void check_call(const Program &program, int64_t batch, const std::string &where) {
    double size = 0; // of products that may be beyond 64 bits
    for (const auto *specs : {&program.inputs, &program.outputs}) {
        for (const TensorSpec &spec : *specs) {
            double room = static_cast<double>(info(spec.dtype).bytes);
            for (int64_t dim : spec.with_batch(batch)) room *= static_cast<double>(std::max<int64_t>(1, dim));
            size += room;
        }
    }
    if (size <= static_cast<double>(MAX_CALL_BYTES)) return;
    constexpr double GIB = 1 << 30;
    invalid(where, ": inputs and outputs of batch ", batch, " take ", format("%.3g", size / GIB), " GiB, limit ",
            format("%.3g", static_cast<double>(MAX_CALL_BYTES) / GIB),
            " GiB: compile it for smaller batches or images");
}

void check_unique(std::vector<std::string> names, const char *what, const std::string &where) {
    std::vector<std::string> sorted = names;
    sort(sorted);
    if (std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end()) return;
    for (const std::string &name : names) {
        if (std::count(names.begin(), names.end(), name) > 1) {
            invalid(where, " has two ", what, " named ", shown(name));
        }
    }
}

} // namespace ob
