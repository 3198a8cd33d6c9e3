#include "machine/machine.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "artifact/files.h"
#include "base/sort.h"
#include "base/text.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif
#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

namespace ob {

namespace {

#if defined(__x86_64__)

struct Bit {
    uint32_t leaf;
    uint8_t subleaf, word, bit; // of eax, ebx, ecx, edx
    char name[20]; // not a pointer, which is put right at each start
};
enum { EAX, EBX, ECX, EDX };

// What compilers put into code by themselves; bits as in Intel's manual, volume 2, CPUID.
constexpr Bit BITS[] = {
    {1, 0, ECX, 0, "pni"},
    {1, 0, ECX, 1, "pclmulqdq"},
    {1, 0, ECX, 9, "ssse3"},
    {1, 0, ECX, 12, "fma"},
    {1, 0, ECX, 13, "cx16"},
    {1, 0, ECX, 19, "sse4_1"},
    {1, 0, ECX, 20, "sse4_2"},
    {1, 0, ECX, 22, "movbe"},
    {1, 0, ECX, 23, "popcnt"},
    {1, 0, ECX, 25, "aes"},
    {1, 0, ECX, 26, "xsave"},
    {1, 0, ECX, 28, "avx"},
    {1, 0, ECX, 29, "f16c"},
    {1, 0, EDX, 25, "sse"},
    {1, 0, EDX, 26, "sse2"},
    {7, 0, EBX, 3, "bmi1"},
    {7, 0, EBX, 5, "avx2"},
    {7, 0, EBX, 8, "bmi2"},
    {7, 0, EBX, 16, "avx512f"},
    {7, 0, EBX, 17, "avx512dq"},
    {7, 0, EBX, 19, "adx"},
    {7, 0, EBX, 21, "avx512ifma"},
    {7, 0, EBX, 28, "avx512cd"},
    {7, 0, EBX, 30, "avx512bw"},
    {7, 0, EBX, 31, "avx512vl"},
    {7, 0, ECX, 1, "avx512vbmi"},
    {7, 0, ECX, 6, "avx512_vbmi2"},
    {7, 0, ECX, 8, "gfni"},
    {7, 0, ECX, 9, "vaes"},
    {7, 0, ECX, 10, "vpclmulqdq"},
    {7, 0, ECX, 11, "avx512_vnni"},
    {7, 0, ECX, 12, "avx512_bitalg"},
    {7, 0, ECX, 14, "avx512_vpopcntdq"},
    {7, 0, EDX, 8, "avx512_vp2intersect"},
    {7, 0, EDX, 22, "amx_bf16"},
    {7, 0, EDX, 23, "avx512_fp16"},
    {7, 0, EDX, 24, "amx_tile"},
    {7, 0, EDX, 25, "amx_int8"},
    {0x80000001, 0, ECX, 0, "lahf_lm"},
    {0x80000001, 0, ECX, 5, "abm"},
    {0x80000001, 0, ECX, 6, "sse4a"},
    {7, 1, EAX, 4, "avx_vnni"},
    {7, 1, EAX, 5, "avx512_bf16"},
    {7, 1, EAX, 23, "avx_ifma"},
};

bool cpuid_has(const Bit &bit) {
    unsigned registers[4] = {};
    if (!__get_cpuid_count(bit.leaf, bit.subleaf, &registers[0], &registers[1], &registers[2], &registers[3])) {
        return false;
    }
    return registers[bit.word] >> bit.bit & 1;
}

// The registers that the kernel saves for programs (XGETBV); 0 where it saves none but the oldest.
uint64_t saved_registers() {
    if (!cpuid_has({1, 0, ECX, 27, "osxsave"})) return 0;
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
}

// Without /proc (a bare chroot) the processor is asked alone, and which registers the kernel saves.
std::vector<std::string> features_by_cpuid() {
    constexpr uint64_t VECTORS = 0x6, WIDE_VECTORS = 0xe6, TILES = 0x60000;
    std::vector<std::string> found;
    uint64_t saved = saved_registers();
    for (const Bit &bit : BITS) {
        std::string name = bit.name;
        auto begins = [&](const char *text) { return name.compare(0, std::string_view(text).size(), text) == 0; };
        bool vectors = begins("avx") || name == "fma" || name == "f16c" || name == "vaes" || name == "vpclmulqdq";
        uint64_t needed = begins("avx512") ? WIDE_VECTORS : begins("amx") ? TILES : vectors ? VECTORS : 0;
        if (cpuid_has(bit) && (saved & needed) == needed) found.push_back(name);
    }
    sort(found);
    return found;
}

// What the kernel lists for all cores, less what CPUID denies: an emulator shows its host's list.
std::vector<std::string> find_features() {
    std::vector<std::string> shared;
    bool any = false;
    for (const std::string &line : split(system_text("/proc/cpuinfo"), "\n")) {
        if (line.compare(0, 5, "flags") != 0) continue;
        std::vector<std::string> flags = split(line.substr(std::min(line.find(':') + 1, line.size())), " \t"), both;
        sort(flags);
        std::set_intersection(shared.begin(), shared.end(), flags.begin(), flags.end(), std::back_inserter(both));
        shared = any ? both : flags;
        any = true;
    }
    if (!any) return features_by_cpuid();
    for (const Bit &bit : BITS) {
        if (!cpuid_has(bit)) shared.erase(std::remove(shared.begin(), shared.end(), bit.name), shared.end());
    }
    return shared;
}

constexpr const char *ARCH = "x86_64";

#elif defined(__aarch64__)

// Bits of AT_HWCAP and AT_HWCAP2, in order (Linux: arch/arm64/include/uapi/asm/hwcap.h).
constexpr const char *HWCAP =
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc "
    "dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg";
constexpr const char *HWCAP2 =
    "dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm svebf16 "
    "i8mm bf16 dgh rng bti mte ecv afp rpres mte3 sme smei16i64 smef64f64 smei8i32 smef16f32 smeb16f32 "
    "smef32f32 smefa64 wfxt";

std::vector<std::string> find_features() {
    std::vector<std::string> found;
    for (auto [word, names] : {std::pair(getauxval(16), HWCAP), std::pair(getauxval(26), HWCAP2)}) {
        int bit = 0;
        for (const std::string &name : split(names, " ")) {
            if (word >> bit++ & 1) found.push_back(name);
        }
    }
    sort(found);
    return found;
}

constexpr const char *ARCH = "aarch64";

#else
#error "known processors are x86-64 and aarch64"
#endif

} // namespace

bool Machine::has(const std::string &feature) const {
    return std::binary_search(features.begin(), features.end(), feature);
}

Machine this_machine() { return {ARCH, find_features()}; }

std::string glibc_version() {
#if defined(__GLIBC__)
    return gnu_get_libc_version();
#else
    return "none";
#endif
}

} // namespace ob
