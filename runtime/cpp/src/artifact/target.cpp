#include "artifact/target.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

void read_entry(Entry &entry, const Value &value) {
    check_fields(value, "program batch size function weights");
    value.text("program", entry.program, PROGRAM);
    value.whole("batch", entry.batch, 1, MAX_COMPILED_BATCH);
    value.shape("size", entry.size, 1, MAX_SIDE_PIXELS, 0, 2);
    value.text("function", entry.function, FUNCTION);
    value.wholes("weights", entry.weights, 0, MAX_TENSORS, 0, MAX_TENSORS);
}

void read_tensor(WeightTensor &tensor, const Value &value) {
    check_fields(value, "file offset dtype shape");
    value.text("file", tensor.file, PATH);
    value.whole("offset", tensor.offset, 0, MAX_FILE_BYTES);
    tensor.dtype = read_dtype(value.field("dtype"));
    value.shape("shape", tensor.shape, 0, MAX_DIM, 0, MAX_RANK);
}

const Program *find_program(const Manifest &manifest, const std::string &name) {
    for (const auto &[known, program] : manifest.programs) {
        if (known == name) return &program;
    }
    return nullptr;
}

void check_tensors(const Target &target, const Manifest &manifest, const std::string &where) {
    for (size_t i = 0; i < target.tensors.size(); ++i) {
        const WeightTensor &tensor = target.tensors[i];
        const FileRecord *record = manifest.file(tensor.file);
        std::string at = str(where, ": tensor ", i);
        if (!record) invalid(at, " is in ", shown(tensor.file), ", which is not in the file table");
        if (tensor.offset % ALIGNMENT_BYTES) {
            invalid(at, " begins at byte ", tensor.offset, ", not a multiple of ", ALIGNMENT_BYTES);
        }
        int64_t bytes = tensor.bytes();
        if (bytes < 0 || tensor.offset + bytes > record->size) {
            std::string end = bytes < 0 ? "beyond 2**62" : std::to_string(tensor.offset + bytes);
            invalid(at, " ends at byte ", end, ", its file has ", record->size);
        }
        int64_t room = product(tensor.shape, 1, true);
        if (room < 0 || room > MAX_FILE_BYTES) {
            invalid(at, " has a shape that is too large: ", cut(shape_text(tensor.shape)));
        }
    }
}

void check_entry(const Entry &entry, const Target &target, const Manifest &manifest, const std::string &where) {
    const Program *program = find_program(manifest, entry.program);
    if (!program) {
        invalid(where, ": ", entry.function, " is of program ", shown(entry.program), ", which is unknown");
    }
    std::vector<Size> sizes =
        program->sizes.empty() ? std::vector<Size>{{}, program->image_size()} : program->image_sizes();
    if (!std::count(sizes.begin(), sizes.end(), entry.size)) {
        std::string known = program->sizes.empty() ? shape_text(program->image_size()) : sizes_text(sizes);
        invalid(where, ": ", entry.function, " takes images of ", cut(shape_text(entry.size)), ", the program ",
                program->sizes.empty() && program->image_size().empty() ? "None" : known);
    }
    check_call(at(*program, program->sizes.empty() ? Size{} : entry.size), entry.batch, where);
    for (int64_t index : entry.weights) {
        if (index < static_cast<int64_t>(target.tensors.size())) continue;
        invalid(where, ": ", entry.function, " wants tensor ", index, ", there are ", target.tensors.size());
    }
}

} // namespace

Target decode_target(std::string_view data, const std::string &file) {
    Json json = parse_json(data, file);
    check_version(json, file);
    Value value(json, file);
    check_fields(value, "schema_version target precision kind triple arch cpu_features glibc tvm tvm_ffi "
                        "alignment vector_bits entries tensors compute? driver? resample? resample_linear?");
    Target target;
    std::string driver;
    Value kind = value.field("kind"), arch = value.field("arch");
    read_whole(value.field("schema_version"), SCHEMA_VERSION, SCHEMA_VERSION);
    value.text("target", target.target, FOLDER);
    target.precision = read_precision(value.field("precision"));
    read_choice(kind, "llvm cuda");
    target.kind = kind->text;
    value.text("triple", target.triple, FREE);
    read_choice(arch, "x86_64 aarch64");
    target.arch = arch->text;
    target.cpu_features = read_texts(value.field("cpu_features"), 0, 512, CPU_FEATURE);
    value.text("glibc", target.glibc, VERSION);
    value.text("tvm", target.tvm, FREE);
    value.text("tvm_ffi", target.tvm_ffi, FREE);
    read_whole(value.field("alignment"), ALIGNMENT_BYTES, ALIGNMENT_BYTES);
    value.whole("vector_bits", target.vector_bits, 0, 65536);
    target.entries = read_items<Entry>(value.field("entries"), 1, MAX_ENTRIES, read_entry);
    target.tensors = read_items<WeightTensor>(value.field("tensors"), 0, MAX_TENSORS, read_tensor);
    if (Value compute = value.field("compute")) read_texts(compute, 0, 64, COMPUTE);
    value.text("driver", driver, DRIVER);
    value.text("resample", target.resample, FUNCTION_OR_NONE);
    value.text("resample_linear", target.resample_linear, FUNCTION_OR_NONE);
    return target;
}

void check_target(const Target &target, const Manifest &manifest, const std::string &where) {
    std::vector<std::string> names, functions;
    for (const Entry &entry : target.entries) {
        const Program *program = find_program(manifest, entry.program);
        std::string size = program && !program->sizes.empty() ? " and images of " + size_text(entry.size) : "";
        names.push_back(str(entry.program, " and batch ", entry.batch, size));
        functions.push_back(entry.function);
    }
    check_unique(names, "entries", where);
    check_unique(functions, "functions", where);
    for (const Entry &entry : target.entries) check_entry(entry, target, manifest, where);
    for (const auto &[name, program] : manifest.programs) {
        for (const Size &size : program.image_sizes()) {
            std::vector<int64_t> batches;
            for (const Entry &entry : target.entries) {
                if (entry.program == name && (size.empty() || entry.size == size)) batches.push_back(entry.batch);
            }
            if (batches.empty()) {
                std::string what = size.empty() ? "" : " for images of " + size_text(size);
                invalid(where, ": no entry is of program ", name, what);
            }
            if (!program.batched() && batches != std::vector<int64_t>{1}) {
                invalid(where, ": a network without a batch dimension has one entry, for batch 1");
            }
        }
    }
    check_tensors(target, manifest, where);
}

} // namespace ob
