// Tensors of the C interface as arrays, and arrays as tensors; nothing is copied.
#include <algorithm>

#include "binding.h"

namespace {

struct Known {
    ovenbird_dtype dtype;
    const char *name;
    nb::dlpack::dtype dlpack;
};

constexpr uint8_t INT = 0, UINT = 1, FLOAT = 2, BOOL = 6; // DLPack's codes

constexpr Known KNOWN[] = {
    {OVENBIRD_FLOAT32, "float32", {FLOAT, 32, 1}}, {OVENBIRD_FLOAT16, "float16", {FLOAT, 16, 1}},
    {OVENBIRD_FLOAT64, "float64", {FLOAT, 64, 1}}, {OVENBIRD_INT8, "int8", {INT, 8, 1}},
    {OVENBIRD_INT16, "int16", {INT, 16, 1}},       {OVENBIRD_INT32, "int32", {INT, 32, 1}},
    {OVENBIRD_INT64, "int64", {INT, 64, 1}},       {OVENBIRD_UINT8, "uint8", {UINT, 8, 1}},
    {OVENBIRD_UINT16, "uint16", {UINT, 16, 1}},    {OVENBIRD_UINT32, "uint32", {UINT, 32, 1}},
    {OVENBIRD_UINT64, "uint64", {UINT, 64, 1}},    {OVENBIRD_BOOL, "bool", {BOOL, 8, 1}},
};

const Known &known(ovenbird_dtype dtype) {
    return *std::find_if(std::begin(KNOWN), std::end(KNOWN), [&](const Known &one) { return one.dtype == dtype; });
}

} // namespace

const char *dtype_name(ovenbird_dtype dtype) { return known(dtype).name; }

ovenbird_tensor view_of(const char *name, const Array &array) {
    const Known *found =
        std::find_if(std::begin(KNOWN), std::end(KNOWN), [&](const Known &one) { return one.dlpack == array.dtype(); });
    if (found == std::end(KNOWN) || array.ndim() > OVENBIRD_MAX_RANK) {
        nb::object type = nb::module_::import_("ovenbird_native.errors").attr("NativeError");
        std::string text = std::string(name) + " has a dtype or a rank that no network takes";
        PyErr_SetObject(type.ptr(), type("WrongDtype", text).ptr());
        throw nb::python_error();
    }
    ovenbird_tensor view{name, found->dtype, static_cast<int32_t>(array.ndim()), {}, array.data(), array.nbytes()};
    for (size_t d = 0; d < array.ndim(); ++d) view.shape[d] = static_cast<int64_t>(array.shape(d));
    return view;
}

nb::object array_of(const std::shared_ptr<ovenbird_result> &result, size_t index) {
    ovenbird_tensor tensor;
    check(ovenbird_result_tensor(result.get(), index, &tensor));
    size_t shape[OVENBIRD_MAX_RANK];
    std::copy(tensor.shape, tensor.shape + tensor.rank, shape);
    nb::capsule owner(new std::shared_ptr<ovenbird_result>(result),
                      [](void *kept) noexcept { delete static_cast<std::shared_ptr<ovenbird_result> *>(kept); });
    nb::ndarray<nb::numpy> array(const_cast<void *>(tensor.data), static_cast<size_t>(tensor.rank), shape, owner,
                                 nullptr, known(tensor.dtype).dlpack);
    return nb::cast(array);
}
