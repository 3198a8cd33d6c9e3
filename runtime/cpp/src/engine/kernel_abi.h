// How compiled kernels are called (docs/explanation/plan.md): plain structs, of DLPack and of TVM's FFI.
//
//     int (*kernel)(void *self, const Any *arguments, int32_t count, Any *result);      // 0 for success
#pragma once

#include <cstdint>

namespace ob {

struct DLTensor {
    void *data;
    int32_t device_type = 1; // the processor
    int32_t device_id = 0;
    int32_t ndim;
    uint8_t code, bits;
    uint16_t lanes = 1;
    const int64_t *shape;
    const int64_t *strides;
    uint64_t byte_offset = 0;
};
static_assert(sizeof(DLTensor) == 48, "as DLPack lays it out");

struct Any {
    int32_t tag = 0;
    uint32_t zero = 0;
    union {
        int64_t integer;
        const DLTensor *tensor;
    };
    Any() : integer(0) {}
    explicit Any(int64_t value) : tag(1), integer(value) {}
    explicit Any(const DLTensor *value) : tag(7), tensor(value) {}
};
static_assert(sizeof(Any) == 16, "as TVM's FFI lays it out");

using Kernel = int (*)(void *self, const Any *arguments, int32_t count, Any *result);

struct Group { // TVMParallelGroupEnv
    void *sync_handle;
    int32_t num_task;
};
using Task = int (*)(int task, Group *group, void *data);

} // namespace ob
