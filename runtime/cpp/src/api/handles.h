// What the C interface's pointers stand for, and how errors become a status and a message of the thread that called.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/errors.h"
#include "base/text.h"
#include "engine/model.h"
#include "engine/session.h"
#include "ovenbird.h"

struct ovenbird_artifact {
    std::shared_ptr<const ob::Model> model;
};

struct ovenbird_session {
    std::unique_ptr<ob::Session> session;
};

struct ovenbird_result {
    std::shared_ptr<const ob::Model> model; // the outputs' names are its
    std::vector<ob::OutputTensor> outputs;
};

namespace ob {

std::string &last_message(); // of this thread

// Does the work; what it throws becomes a status, and this thread's message. What catches is there once, for all
// functions of the interface.
ovenbird_status guarded_call(void (*work)(const void *), const void *given);
template <typename Work> ovenbird_status guarded(const Work &work) {
    return guarded_call([](const void *given) { (*static_cast<const Work *>(given))(); }, &work);
}

void need_given(bool given, const char *name);
template <typename Type> void need(const Type *pointer, const char *name) { need_given(pointer != nullptr, name); }

// A caller's options, which may be those of an older header: what it does not know keeps its default.
template <typename Options> void take_options(const Options *given, Options &into, const char *begin) {
    if (!given) return;
    if (given->struct_bytes < sizeof given->struct_bytes || given->struct_bytes > 4096) {
        fail(OVENBIRD_WRONG_OPTION, "options do not begin with ", begin);
    }
    std::memcpy(static_cast<void *>(&into), given, std::min(given->struct_bytes, sizeof into));
}

inline ovenbird_tensor view_of(const std::string &name, ovenbird_dtype dtype, const Shape &shape, const void *data,
                               size_t bytes) {
    ovenbird_tensor view{name.c_str(), dtype, static_cast<int32_t>(shape.size()), {}, data, bytes};
    std::copy(shape.begin(), shape.end(), view.shape);
    return view;
}

} // namespace ob
