// What this machine is: architecture, processor features, and how many threads are really ours
// (`ovenbird_runtime/machine/cpu.py`, `cpuid.py`).
#pragma once

#include <string>
#include <vector>

namespace ob {

// The pair of TVM libraries whose calling convention this runtime knows; a test holds it to `machine/versions.py`.
constexpr const char *TVM_VERSION = "0.27.0.post1", *TVM_FFI_VERSION = "0.1.14.post1";

struct Machine {
    std::string arch;                  // "x86_64", "aarch64"
    std::vector<std::string> features; // names as /proc/cpuinfo spells them, sorted
    bool has(const std::string &feature) const;
};

Machine this_machine();

// The least of the physical cores in the affinity mask and the CPU quota of the control groups; at least 1. `root` is
// where /proc and /sys are looked for.
int available_threads(const std::string &root = "");

// "2.36", or "none" where the C library is another than glibc.
std::string glibc_version();

} // namespace ob
