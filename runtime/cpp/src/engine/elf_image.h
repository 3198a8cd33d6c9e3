// The loader of `model.so`: from checked bytes in memory to kernels that may be called, without dlopen.
//
//     ElfImage image(data, bytes, "targets/host/model.so", host_symbols());
//     image.find("__tvm_ffi_fused_conv2d")                // nullptr where there is no such symbol
//
// A file that was hashed by its name can be another one when dlopen opens it by that name; and a library that dlopen
// loads shares its symbols with others of the process. Compiled kernels need little of a loader: segments, four kinds
// of relocation, a dozen functions from outside. All else is refused: other relocations, thread-local storage, pages
// that may be written and run, constructors that do more than a C compiler's own (they are not run).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "artifact/files.h"
#include "base/errors.h"

namespace ob {

// What code gets from outside: functions that it asks for by name, and those that it has pointers for.
struct HostSymbols {
    void *(*find)(std::string_view name); // nullptr for an unknown name
    std::vector<std::pair<const char *, void *>> offered;
};

class ElfImage {
  public:
    // Throws EngineLoadFailed.
    ElfImage(const unsigned char *file, size_t bytes, const std::string &name, const HostSymbols &host);

    // A function; nullptr where there is none of that name in pages that may be run.
    void *find(const std::string &symbol) const;
    size_t bytes() const { return span_.bytes(); }

  private:
    struct Dynamic;

    template <typename... Parts> [[noreturn]] void refuse(const Parts &...why) const {
        fail(OVENBIRD_ENGINE_LOAD_FAILED, name_, " cannot be loaded: ", why...);
    }
    void load_segments(const unsigned char *file, size_t bytes);
    Dynamic read_dynamic();
    // At most so many: what the file has room for. A table in pages that it does not fill would never end.
    void read_symbols(const Dynamic &dynamic, const HostSymbols &host, uint64_t most);
    void write_word(uint64_t address, uint64_t value);
    void relocate(uint64_t table, uint64_t bytes);
    void protect();
    template <typename T> T read(uint64_t address) const;
    std::string_view text(uint64_t address, uint64_t limit) const;

    struct Segment {
        uint64_t start, bytes;
        int protection;
    };
    struct Symbol {
        uint64_t address; // 0 where it is unknown and weak
        bool known;
    };

    std::string name_;
    Memory span_;
    std::vector<Segment> segments_;
    uint64_t dynamic_ = 0, dynamic_bytes_ = 0, relro_ = 0, relro_bytes_ = 0;
    std::vector<Symbol> symbols_;
    std::unordered_map<std::string, uint64_t> exported_; // places in the span
};

} // namespace ob
