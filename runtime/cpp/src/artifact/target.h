// `target.json`: what one variant's code needs of the machine, and how to call it
// (`ovenbird_runtime/manifest/target.py`).
#pragma once

#include <string>
#include <vector>

#include "artifact/manifest.h"

namespace ob {

struct Entry {
    std::string program;
    int64_t batch;
    Size size;
    std::string function;
    std::vector<int64_t> weights;
};

struct WeightTensor {
    std::string file;
    int64_t offset;
    ovenbird_dtype dtype;
    Shape shape;
    int64_t bytes() const { return product(shape, info(dtype).bytes); }
};

struct Target {
    std::string target;
    Precision precision = Precision::F32;
    std::string kind, triple, arch, glibc, tvm, tvm_ffi;
    std::vector<std::string> cpu_features;
    int64_t vector_bits = 0;
    std::vector<Entry> entries;
    std::vector<WeightTensor> tensors;
    std::string resample, resample_linear;

    std::string variant() const { return variant_name(target, precision); }
};

Target decode_target(std::string_view data, const std::string &where);

// Checks a target against the manifest it came with; throws ManifestInvalid.
void check_target(const Target &target, const Manifest &manifest, const std::string &where);

} // namespace ob
