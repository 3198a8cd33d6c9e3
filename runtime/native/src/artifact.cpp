#include <vector>

#include "api/handles.h" // for `call`: the C interface has no function that runs a kernel
#include "binding.h"

namespace {

nb::tuple spec_of(const ovenbird_spec &spec) {
    nb::list shape;
    for (int32_t d = 0; d < spec.rank; ++d) shape.append(spec.shape[d]);
    return nb::make_tuple(spec.name, dtype_name(spec.dtype), nb::tuple(shape), spec.layout);
}

template <auto count_of, auto at> nb::list specs_of(const Artifact &artifact, nb::object program) {
    size_t count = 0;
    check(count_of(artifact.handle.get(), text_or_null(program), &count));
    nb::list found;
    for (size_t i = 0; i < count; ++i) {
        ovenbird_spec spec;
        check(at(artifact.handle.get(), text_or_null(program), i, &spec));
        found.append(spec_of(spec));
    }
    return found;
}

nb::list programs_of(const Artifact &artifact) {
    nb::list found;
    for (size_t i = 0; i < ovenbird_program_count(artifact.handle.get()); ++i) {
        found.append(ovenbird_program_name(artifact.handle.get(), i));
    }
    return found;
}

nb::list labels_of(const Artifact &artifact, nb::object named, const char *output) {
    nb::list found;
    const char *program = text_or_null(named);
    size_t count = ovenbird_label_count(artifact.handle.get(), program, output);
    for (size_t i = 0; i < count; ++i) found.append(ovenbird_label(artifact.handle.get(), program, output, i));
    return found;
}

nb::list entries_of(const Artifact &artifact) {
    nb::list found;
    for (size_t i = 0; i < ovenbird_entry_count(artifact.handle.get()); ++i) {
        ovenbird_entry entry;
        check(ovenbird_entry_at(artifact.handle.get(), i, &entry));
        found.append(nb::make_tuple(entry.program, entry.batch, entry.height, entry.width));
    }
    return found;
}

// By the names of their files, weights that objects hold: their `bytes`, as long as the objects live.
std::vector<ovenbird_memory> memory_of(const nb::dict &weights) {
    std::vector<ovenbird_memory> found;
    for (auto [name, owner] : weights) {
        Array bytes = nb::cast<Array>(owner.attr("bytes"));
        found.push_back({nb::cast<const char *>(name), bytes.data(), bytes.nbytes()});
    }
    return found;
}

// A kernel that the code has beside its programs', and its arguments: arrays, which it may write to, and whole numbers.
int call(const Artifact &artifact, const char *name, const nb::args &arguments) {
    void *address = artifact.handle->model->image->find(std::string("__tvm_ffi_") + name);
    if (!address) return -1;
    std::vector<Array> arrays;
    std::vector<ob::DLTensor> tensors;
    std::vector<ob::Any> words;
    arrays.reserve(arguments.size());
    tensors.reserve(arguments.size());
    for (nb::handle value : arguments) {
        if (nb::isinstance<nb::int_>(value)) {
            words.emplace_back(nb::cast<int64_t>(value));
            continue;
        }
        const Array &array = arrays.emplace_back(nb::cast<Array>(value));
        ob::DLTensor &tensor = tensors.emplace_back();
        tensor.data = const_cast<void *>(array.data());
        tensor.ndim = static_cast<int32_t>(array.ndim());
        tensor.code = array.dtype().code;
        tensor.bits = array.dtype().bits;
        tensor.shape = array.shape_ptr();
        tensor.strides = array.stride_ptr();
        words.emplace_back(&tensor);
    }
    ob::Any result;
    nb::gil_scoped_release unlocked;
    return reinterpret_cast<ob::Kernel>(address)(nullptr, words.data(), static_cast<int32_t>(words.size()), &result);
}

} // namespace

void add_artifact(nb::module_ &module) {
    nb::class_<Artifact>(module, "Artifact")
        .def(
            "__init__",
            [](Artifact *self, nb::bytes path, nb::object key, nb::object target, nb::object precision,
               nb::dict weights) {
                ovenbird_open_options options = OVENBIRD_OPEN_OPTIONS;
                options.public_key = key.is_none() ? nullptr : nb::cast<nb::bytes>(key).c_str();
                options.target = text_or_null(target);
                options.precision = text_or_null(precision);
                std::vector<ovenbird_memory> given = memory_of(weights);
                options.weights = given.data();
                options.weight_count = given.size();
                ovenbird_artifact *artifact = nullptr;
                ovenbird_status status;
                {
                    nb::gil_scoped_release unlocked;
                    status = ovenbird_open(path.c_str(), &options, &artifact);
                }
                check(status);
                new (self) Artifact{weights.attr("copy")(), ArtifactHandle(artifact)};
            },
            nb::arg("path"), nb::arg("public_key").none(), nb::arg("target").none(), nb::arg("precision").none(),
            nb::arg("weights"))
        .def_prop_ro("model", [](const Artifact &self) { return ovenbird_model_name(self.handle.get()); })
        .def_prop_ro("target", [](const Artifact &self) { return ovenbird_target_name(self.handle.get()); })
        .def_prop_ro("random_weights",
                     [](const Artifact &self) { return ovenbird_has_random_weights(self.handle.get()) != 0; })
        .def_prop_ro("manifest_sha256",
                     [](const Artifact &self) { return ovenbird_manifest_sha256(self.handle.get()); })
        .def_prop_ro("programs", programs_of)
        .def_prop_ro("entries", entries_of)
        .def("inputs", specs_of<ovenbird_input_count, ovenbird_input>, nb::arg("program").none())
        .def("outputs", specs_of<ovenbird_output_count, ovenbird_output>, nb::arg("program").none())
        .def("labels", labels_of, nb::arg("program").none(), nb::arg("output"))
        .def("has_kernel",
             [](const Artifact &self, const char *name) {
                 return self.handle->model->image->find(std::string("__tvm_ffi_") + name) != nullptr;
             })
        .def("call", call);
}
