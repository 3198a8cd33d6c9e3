#include <vector>

#include "api/handles.h" // for `guarded`
#include "api/predictions.h" // for their values: the C interface has them as text
#include "binding.h"

namespace {

struct Session {
    SessionHandle handle;
};

nb::dict arrays_of(ResultHandle owned) {
    std::shared_ptr<ovenbird_result> result(std::move(owned));
    nb::dict found;
    for (size_t i = 0; i < ovenbird_result_count(result.get()); ++i) {
        ovenbird_tensor tensor;
        check(ovenbird_result_tensor(result.get(), i, &tensor));
        found[tensor.name] = array_of(result, i);
    }
    return found;
}

nb::dict run(const Session &session, const nb::dict &inputs, nb::object program, bool allow_nan) {
    std::vector<Array> arrays; // alive during the call
    std::vector<ovenbird_tensor> tensors;
    for (auto [name, value] : inputs) {
        const Array &array = arrays.emplace_back(nb::cast<Array>(value));
        tensors.push_back(view_of(nb::cast<const char *>(name), array));
    }
    const char *named = text_or_null(program);
    ovenbird_result *result = nullptr;
    ovenbird_status status;
    {
        nb::gil_scoped_release unlocked;
        status = ovenbird_run(session.handle.get(), named, tensors.data(), tensors.size(),
                              allow_nan ? OVENBIRD_ALLOW_NAN : 0, &result);
    }
    check(status);
    return arrays_of(ResultHandle(result));
}

// Files: (whether it is a path, its bytes).
std::vector<ovenbird_image> images_of(const nb::list &files) {
    std::vector<ovenbird_image> found;
    for (nb::handle file : files) {
        nb::tuple parts = nb::cast<nb::tuple>(file);
        nb::bytes bytes = nb::cast<nb::bytes>(parts[1]);
        if (nb::cast<bool>(parts[0])) {
            found.push_back({bytes.c_str(), nullptr, 0});
        } else {
            found.push_back({nullptr, bytes.c_str(), bytes.size()});
        }
    }
    return found;
}

// Options by their names in the C interface, and the texts among them.
struct Options {
    ovenbird_predict_options values = OVENBIRD_PREDICT_OPTIONS;
    std::vector<const char *> classes;

    explicit Options(const nb::dict &given) {
        take(given, "top", values.top);
        take(given, "embedding", values.embedding);
        take(given, "seed", values.seed);
        take(given, "score", values.score);
        take(given, "iou", values.iou);
        take(given, "max_boxes", values.max_boxes);
        take(given, "agnostic", values.agnostic);
        take(given, "image_height", values.image_height);
        take(given, "image_width", values.image_width);
        take(given, "max_megapixels", values.max_megapixels);
        take(given, "preprocess", values.preprocess);
        take(given, "prompt", values.prompt);
        take(given, "max_tokens", values.max_tokens);
        take(given, "beams", values.beams);
        if (!given.contains("classes")) return;
        for (nb::handle one : nb::cast<nb::list>(given["classes"])) classes.push_back(nb::cast<const char *>(one));
        values.classes = classes.data();
        values.class_count = classes.size();
    }

    template <typename T> static void take(const nb::dict &given, const char *name, T &into) {
        if (given.contains(name)) into = nb::cast<T>(given[name]);
    }
};

nb::list predict(const Session &session, const nb::list &files, const nb::dict &options) {
    std::vector<ovenbird_image> images = images_of(files);
    Options asked(options);
    ovenbird_predictions *made = nullptr;
    ovenbird_status status;
    {
        nb::gil_scoped_release unlocked;
        status = ovenbird_predict(session.handle.get(), images.data(), images.size(), &asked.values, &made);
    }
    check(status);
    PredictionsHandle predictions(made);
    nb::list found;
    for (size_t i = 0; i < ovenbird_predictions_count(made); ++i) {
        ob::Json values;
        {
            nb::gil_scoped_release unlocked;
            status = ob::guarded([&] { values = made->values(i); });
        }
        check(status);
        found.append(object_of(values));
    }
    return found;
}

nb::dict preprocess(const Artifact &artifact, const nb::list &file, const nb::dict &options) {
    std::vector<ovenbird_image> images = images_of(file);
    Options asked(options);
    ovenbird_result *result = nullptr;
    ovenbird_status status;
    {
        nb::gil_scoped_release unlocked;
        status = ovenbird_preprocess(artifact.handle.get(), images.data(), &asked.values, &result);
    }
    check(status);
    return arrays_of(ResultHandle(result));
}

} // namespace

void add_session(nb::module_ &module) {
    nb::class_<Session>(module, "Session")
        .def(
            "__init__",
            [](Session *self, const Artifact &artifact, int32_t threads) {
                ovenbird_session *session = nullptr;
                ovenbird_status status;
                {
                    nb::gil_scoped_release unlocked;
                    status = ovenbird_session_open(artifact.handle.get(), threads, &session);
                }
                check(status);
                new (self) Session{SessionHandle(session)};
            },
            nb::keep_alive<1, 2>(), nb::arg("artifact"), nb::arg("threads")) // with the weights that it holds
        .def_prop_ro("threads", [](const Session &self) { return ovenbird_session_threads(self.handle.get()); })
        .def("run", run, nb::arg("inputs"), nb::arg("program").none(), nb::arg("allow_nan"))
        .def("predict", predict, nb::arg("files"), nb::arg("options"));
    module.def("preprocess", preprocess, nb::arg("artifact"), nb::arg("file"), nb::arg("options"));
}
