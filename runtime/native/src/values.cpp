// Answers as Python's own objects, without a detour through text.
#include "binding.h"

namespace {

nb::object owned(PyObject *made) {
    if (!made) throw nb::python_error();
    return nb::steal(made);
}

nb::object text_of(const std::string &text) {
    return owned(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

nb::object list_of(const std::vector<ob::Json> &items) {
    nb::object found = owned(PyList_New(static_cast<Py_ssize_t>(items.size())));
    for (size_t i = 0; i < items.size(); ++i) {
        PyList_SetItem(found.ptr(), static_cast<Py_ssize_t>(i), object_of(items[i]).release().ptr());
    }
    return found;
}

nb::object dict_of(const ob::Json &value) {
    nb::object found = owned(PyDict_New());
    for (size_t i = 0; i < value.items.size(); ++i) {
        nb::object name = owned(PyUnicode_InternFromString(value.names[i].c_str()));
        if (PyDict_SetItem(found.ptr(), name.ptr(), object_of(value.items[i]).ptr()) != 0) throw nb::python_error();
    }
    return found;
}

} // namespace

nb::object object_of(const ob::Json &value) {
    switch (value.kind) {
    case ob::Json::Kind::Bool: return nb::bool_(value.truth);
    case ob::Json::Kind::Integer:
        return owned(value.huge ? PyLong_FromString(value.text.c_str(), nullptr, 10) : PyLong_FromLongLong(value.integer));
    case ob::Json::Kind::Real: return owned(PyFloat_FromDouble(value.real));
    case ob::Json::Kind::String: return text_of(value.text);
    case ob::Json::Kind::List: return list_of(value.items);
    case ob::Json::Kind::Object: return dict_of(value);
    default: return nb::none();
    }
}
