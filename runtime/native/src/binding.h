// What the parts of the module share: objects of the C interface that free themselves, and errors as Python has them.
#pragma once

#include <memory>
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "base/json.h"
#include "ovenbird.h"

namespace nb = nanobind;

template <auto release> struct FreedBy {
    template <typename T> void operator()(T *object) const { release(object); }
};
using ArtifactHandle = std::unique_ptr<ovenbird_artifact, FreedBy<ovenbird_artifact_free>>;
using SessionHandle = std::unique_ptr<ovenbird_session, FreedBy<ovenbird_session_free>>;
using ResultHandle = std::unique_ptr<ovenbird_result, FreedBy<ovenbird_result_free>>;
using PredictionsHandle = std::unique_ptr<ovenbird_predictions, FreedBy<ovenbird_predictions_free>>;

// Any array that is contiguous, in the processor's memory; its dtype and shape are checked by the runtime.
using Array = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

// Raises ovenbird_native.errors.NativeError with the status's name and the last message. The caller holds the GIL.
void check(ovenbird_status status);

// Text or nothing: an option of the C interface.
inline const char *text_or_null(nb::handle value) { return value.is_none() ? nullptr : nb::cast<const char *>(value); }

// A tensor of a result as an array that keeps the result alive.
nb::object array_of(const std::shared_ptr<ovenbird_result> &result, size_t index);

// The view of an array under a name, which must outlive it. Raises for a dtype that no network has.
ovenbird_tensor view_of(const char *name, const Array &array);

// What json.loads would make of the value's text.
nb::object object_of(const ob::Json &value);

const char *dtype_name(ovenbird_dtype dtype);

void add_artifact(nb::module_ &module);
void add_session(nb::module_ &module);

struct Artifact {
    nb::object weights; // whose memory it reads; goes last
    ArtifactHandle handle;
};
