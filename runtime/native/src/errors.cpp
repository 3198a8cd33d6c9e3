#include "binding.h"

void check(ovenbird_status status) {
    if (status == OVENBIRD_OK) return;
    nb::object type = nb::module_::import_("ovenbird_native.errors").attr("NativeError");
    nb::object error = type(ovenbird_status_name(status), ovenbird_last_message());
    PyErr_SetObject(type.ptr(), error.ptr());
    throw nb::python_error();
}
