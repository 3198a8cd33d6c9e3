// Ovenbird's runtime in C++: ovenbird.h with objects that free themselves and errors that are thrown. Header only,
// C++17.
//
//     ovenbird::Artifact artifact("artifacts/resnet50");
//     ovenbird::Session session(artifact);                                      // threads: the CPUs that are ours
//     ovenbird::Buffer image(3 * 224 * 224 * sizeof(float));                    // read in place
//     auto result = session.run({ovenbird::tensor("image", {1, 3, 224, 224}, image.as<float>())});
//     const float *logits = result.data<float>("logits");
//     auto found = session.predict({ovenbird::image("photo.jpg")});             // decoded and pre-processed
//     found.classes(0)[0].label
#pragma once

#include <cstring>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ovenbird.h"

namespace ovenbird {

// What a function refused: what() is one line, name() as "ManifestInvalid".
class Error : public std::runtime_error {
  public:
    Error(ovenbird_status status, const char *message) : std::runtime_error(message), status_(status) {}
    ovenbird_status status() const { return status_; }
    const char *name() const { return ovenbird_status_name(status_); }

  private:
    ovenbird_status status_;
};

inline void check(ovenbird_status status) {
    if (status != OVENBIRD_OK) throw Error(status, ovenbird_last_message());
}

template <typename T> struct DtypeOf;
template <> struct DtypeOf<float> {
    static constexpr ovenbird_dtype value = OVENBIRD_FLOAT32;
};
template <> struct DtypeOf<double> {
    static constexpr ovenbird_dtype value = OVENBIRD_FLOAT64;
};
template <> struct DtypeOf<int8_t> {
    static constexpr ovenbird_dtype value = OVENBIRD_INT8;
};
template <> struct DtypeOf<int16_t> {
    static constexpr ovenbird_dtype value = OVENBIRD_INT16;
};
template <> struct DtypeOf<int32_t> {
    static constexpr ovenbird_dtype value = OVENBIRD_INT32;
};
template <> struct DtypeOf<int64_t> {
    static constexpr ovenbird_dtype value = OVENBIRD_INT64;
};
template <> struct DtypeOf<uint8_t> {
    static constexpr ovenbird_dtype value = OVENBIRD_UINT8;
};
template <> struct DtypeOf<uint16_t> {
    static constexpr ovenbird_dtype value = OVENBIRD_UINT16;
};
template <> struct DtypeOf<uint32_t> {
    static constexpr ovenbird_dtype value = OVENBIRD_UINT32;
};
template <> struct DtypeOf<uint64_t> {
    static constexpr ovenbird_dtype value = OVENBIRD_UINT64;
};
template <> struct DtypeOf<bool> {
    static constexpr ovenbird_dtype value = OVENBIRD_BOOL;
};

// A tensor over the caller's numbers, which must outlive the call.
template <typename T> ovenbird_tensor tensor(const char *name, std::initializer_list<int64_t> shape, const T *data) {
    if (shape.size() > OVENBIRD_MAX_RANK) throw Error(OVENBIRD_WRONG_SHAPE, "a tensor has at most 8 dimensions");
    ovenbird_tensor made{name, DtypeOf<T>::value, static_cast<int32_t>(shape.size()), {}, data, sizeof(T)};
    size_t place = 0;
    for (int64_t dim : shape) {
        made.shape[place++] = dim;
        made.bytes *= static_cast<size_t>(dim);
    }
    return made;
}

// Memory at a multiple of 64 bytes, which a session reads in place.
class Buffer {
  public:
    explicit Buffer(size_t bytes) : data_(ovenbird_alloc(bytes), ovenbird_free) {
        if (!data_) throw Error(OVENBIRD_OUT_OF_MEMORY, ovenbird_last_message());
    }
    template <typename T> T *as() const { return static_cast<T *>(data_.get()); }

  private:
    std::unique_ptr<void, void (*)(void *)> data_;
};

class Artifact {
  public:
    explicit Artifact(const std::string &path, const ovenbird_open_options &options = OVENBIRD_OPEN_OPTIONS)
        : handle_(nullptr, ovenbird_artifact_free) {
        ovenbird_artifact *found = nullptr;
        check(ovenbird_open(path.c_str(), &options, &found));
        handle_.reset(found);
    }
    std::string model() const { return ovenbird_model_name(get()); }
    std::string target() const { return ovenbird_target_name(get()); }
    bool random_weights() const { return ovenbird_has_random_weights(get()) != 0; }
    std::vector<ovenbird_spec> inputs(const char *program = nullptr) const {
        return specs(program, ovenbird_input_count, ovenbird_input);
    }
    std::vector<ovenbird_spec> outputs(const char *program = nullptr) const {
        return specs(program, ovenbird_output_count, ovenbird_output);
    }
    // The label of a class of an output; empty where it has none.
    std::string label(const char *output, size_t index, const char *program = nullptr) const {
        const char *found = ovenbird_label(get(), program, output, index);
        return found ? found : "";
    }
    ovenbird_artifact *get() const { return handle_.get(); }

  private:
    template <typename Count, typename Describe>
    std::vector<ovenbird_spec> specs(const char *program, Count count, Describe describe) const {
        size_t number = 0;
        check(count(get(), program, &number));
        std::vector<ovenbird_spec> found(number);
        for (size_t i = 0; i < number; ++i) check(describe(get(), program, i, &found[i]));
        return found;
    }
    std::unique_ptr<ovenbird_artifact, void (*)(ovenbird_artifact *)> handle_;
};

// The outputs of a call, memory of its own.
class Result {
  public:
    explicit Result(ovenbird_result *result) : handle_(result, ovenbird_result_free) {}
    size_t size() const { return ovenbird_result_count(handle_.get()); }
    ovenbird_tensor operator[](size_t index) const {
        ovenbird_tensor found;
        check(ovenbird_result_tensor(handle_.get(), index, &found));
        return found;
    }
    ovenbird_tensor at(const char *name) const {
        for (size_t i = 0; i < size(); ++i) {
            ovenbird_tensor found = (*this)[i];
            if (std::strcmp(found.name, name) == 0) return found;
        }
        throw Error(OVENBIRD_WRONG_OPTION, "the result has no output of that name");
    }
    template <typename T> const T *data(const char *name) const {
        ovenbird_tensor found = at(name);
        if (found.dtype != DtypeOf<T>::value) throw Error(OVENBIRD_WRONG_DTYPE, "the output is of another dtype");
        return static_cast<const T *>(found.data);
    }

  private:
    std::unique_ptr<ovenbird_result, void (*)(ovenbird_result *)> handle_;
};

// An image file, JPEG or PNG, by its path; must outlive the call.
inline ovenbird_image image(const char *path) { return {path, nullptr, 0}; }
inline ovenbird_image image(const void *data, size_t bytes) { return {nullptr, data, bytes}; }

// What a model says about images, in their order.
class Predictions {
  public:
    explicit Predictions(ovenbird_predictions *predictions) : handle_(predictions, ovenbird_predictions_free) {}
    size_t size() const { return ovenbird_predictions_count(handle_.get()); }
    std::string json(size_t image) const {
        const char *found = nullptr;
        check(ovenbird_predictions_json(handle_.get(), image, &found));
        return found;
    }
    // The best first; of the first output of that kind unless it is named.
    std::vector<ovenbird_class> classes(size_t image, const char *output = nullptr) const {
        return all<ovenbird_class>(image, output, ovenbird_class_count, ovenbird_class_at);
    }
    std::vector<ovenbird_box> boxes(size_t image, const char *output = nullptr) const {
        return all<ovenbird_box>(image, output, ovenbird_box_count, ovenbird_box_at);
    }
    ovenbird_embedding embedding(size_t image, const char *output = nullptr) const {
        ovenbird_embedding found;
        check(ovenbird_embedding_of(handle_.get(), image, output, &found));
        return found;
    }
    ovenbird_text text(size_t image, const char *output = nullptr) const {
        ovenbird_text found;
        check(ovenbird_text_of(handle_.get(), image, output, &found));
        return found;
    }

  private:
    template <typename T, typename Count, typename At>
    std::vector<T> all(size_t image, const char *output, Count count, At at) const {
        std::vector<T> found(count(handle_.get(), image, output));
        for (size_t i = 0; i < found.size(); ++i) check(at(handle_.get(), image, output, i, &found[i]));
        return found;
    }
    std::unique_ptr<ovenbird_predictions, void (*)(ovenbird_predictions *)> handle_;
};

// May be used from many threads; its calls follow one another.
class Session {
  public:
    explicit Session(const Artifact &artifact, int threads = 0) : handle_(nullptr, ovenbird_session_free) {
        ovenbird_session *found = nullptr;
        check(ovenbird_session_open(artifact.get(), threads, &found));
        handle_.reset(found);
    }
    int threads() const { return ovenbird_session_threads(handle_.get()); }
    Result run(const std::vector<ovenbird_tensor> &inputs, const char *program = nullptr, uint32_t flags = 0) const {
        ovenbird_result *found = nullptr;
        check(ovenbird_run(handle_.get(), program, inputs.data(), inputs.size(), flags, &found));
        return Result(found);
    }
    Predictions predict(const std::vector<ovenbird_image> &images,
                        const ovenbird_predict_options &options = OVENBIRD_PREDICT_OPTIONS) const {
        ovenbird_predictions *found = nullptr;
        check(ovenbird_predict(handle_.get(), images.data(), images.size(), &options, &found));
        return Predictions(found);
    }

  private:
    std::unique_ptr<ovenbird_session, void (*)(ovenbird_session *)> handle_;
};

} // namespace ovenbird
