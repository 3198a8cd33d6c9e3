#include "engine/elf_image.h"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr uint64_t MAX_SPAN_BYTES = uint64_t{1} << 34;
constexpr size_t MAX_SEGMENTS = 64;

#if defined(__x86_64__)
constexpr uint16_t MACHINE = EM_X86_64;
constexpr uint32_t RELATIVE = R_X86_64_RELATIVE, GLOBAL_DATA = R_X86_64_GLOB_DAT, JUMP_SLOT = R_X86_64_JUMP_SLOT,
                   ABSOLUTE = R_X86_64_64;
#else
constexpr uint16_t MACHINE = EM_AARCH64;
constexpr uint32_t RELATIVE = R_AARCH64_RELATIVE, GLOBAL_DATA = R_AARCH64_GLOB_DAT, JUMP_SLOT = R_AARCH64_JUMP_SLOT,
                   ABSOLUTE = R_AARCH64_ABS64;
#endif

uint64_t page_bytes() {
    static const uint64_t bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return bytes;
}

// Whether `bytes` from `start` on end within `limit`, without overflow.
bool within(uint64_t start, uint64_t bytes, uint64_t limit) { return start <= limit && bytes <= limit - start; }

} // namespace

struct ElfImage::Dynamic {
    uint64_t strings = 0, string_bytes = 0, symbols = 0, hash = 0, gnu_hash = 0;
    uint64_t relocations = 0, relocation_bytes = 0, jumps = 0, jump_bytes = 0;
};

ElfImage::ElfImage(const unsigned char *file, size_t bytes, const std::string &name, const HostSymbols &host)
    : name_(name) {
    load_segments(file, bytes);
    Dynamic dynamic = read_dynamic();
    read_symbols(dynamic, host, bytes / sizeof(Elf64_Sym));
    relocate(dynamic.relocations, dynamic.relocation_bytes);
    relocate(dynamic.jumps, dynamic.jump_bytes);
    for (const auto &[symbol, function] : host.offered) {
        auto found = exported_.find(symbol);
        if (found != exported_.end()) write_word(found->second, reinterpret_cast<uint64_t>(function));
    }
    protect();
}

template <typename T> T ElfImage::read(uint64_t address) const {
    if (!within(address, sizeof(T), span_.bytes())) refuse("a table leaves its segments at ", address);
    T value;
    std::memcpy(&value, span_.data() + address, sizeof value);
    return value;
}

// A string that ends before `limit`.
std::string_view ElfImage::text(uint64_t address, uint64_t limit) const {
    if (address >= limit || limit > span_.bytes()) refuse("a symbol's name leaves its table");
    const char *start = reinterpret_cast<const char *>(span_.data() + address);
    const void *end = std::memchr(start, 0, limit - address);
    if (!end) refuse("a symbol's name does not end");
    return std::string_view(start, static_cast<size_t>(static_cast<const char *>(end) - start));
}

void ElfImage::load_segments(const unsigned char *file, size_t bytes) {
    Elf64_Ehdr header;
    if (bytes < sizeof header) refuse("it is no ELF file");
    std::memcpy(&header, file, sizeof header);
    static const unsigned char magic[] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    if (std::memcmp(header.e_ident, magic, sizeof magic) != 0) refuse("it is no ELF file of 64 bits");
    if (header.e_type != ET_DYN || header.e_machine != MACHINE) refuse("it is no shared library for this processor");
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > MAX_SEGMENTS) {
        refuse("its header is odd");
    }
    if (!within(header.e_phoff, uint64_t{header.e_phnum} * sizeof(Elf64_Phdr), bytes)) refuse("it is cut off");
    std::vector<Elf64_Phdr> programs(header.e_phnum);
    std::memcpy(programs.data(), file + header.e_phoff, programs.size() * sizeof(Elf64_Phdr));
    uint64_t end = 0;
    for (const Elf64_Phdr &program : programs) {
        if (program.p_type == PT_TLS) refuse("it has thread-local storage");
        if (program.p_type == PT_GNU_STACK && (program.p_flags & PF_X)) refuse("it wants a stack that may be run");
        if (program.p_type == PT_DYNAMIC) {
            dynamic_ = program.p_vaddr;
            dynamic_bytes_ = program.p_memsz;
        }
        if (program.p_type == PT_GNU_RELRO) {
            relro_ = program.p_vaddr;
            relro_bytes_ = program.p_memsz;
        }
        if (program.p_type != PT_LOAD) continue;
        if (!within(program.p_offset, program.p_filesz, bytes) || program.p_filesz > program.p_memsz) {
            refuse("a segment is cut off");
        }
        if (!within(program.p_vaddr, program.p_memsz, MAX_SPAN_BYTES)) refuse("a segment is too large");
        if ((program.p_flags & PF_W) && (program.p_flags & PF_X)) refuse("a segment may be written and run");
        uint64_t first_page = program.p_vaddr / page_bytes() * page_bytes();
        if (first_page < end) refuse("segments share a page of ", page_bytes(), " bytes");
        int protection = (program.p_flags & PF_R ? PROT_READ : 0) | (program.p_flags & PF_W ? PROT_WRITE : 0) |
                         (program.p_flags & PF_X ? PROT_EXEC : 0);
        end = (program.p_vaddr + program.p_memsz + page_bytes() - 1) / page_bytes() * page_bytes();
        segments_.push_back({first_page, end - first_page, protection});
    }
    if (segments_.empty()) refuse("it has no segments");
    span_ = Memory(end, "code");
    for (const Elf64_Phdr &program : programs) {
        if (program.p_type == PT_LOAD && program.p_filesz) {
            std::memcpy(span_.data() + program.p_vaddr, file + program.p_offset, program.p_filesz);
        }
    }
}

ElfImage::Dynamic ElfImage::read_dynamic() {
    if (!dynamic_bytes_ || !within(dynamic_, dynamic_bytes_, span_.bytes())) refuse("it has no dynamic section");
    Dynamic found;
    for (uint64_t at = dynamic_; at + sizeof(Elf64_Dyn) <= dynamic_ + dynamic_bytes_; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn one = read<Elf64_Dyn>(at);
        uint64_t value = one.d_un.d_val;
        switch (one.d_tag) {
        case DT_NULL: return found;
        case DT_STRTAB: found.strings = value; break;
        case DT_STRSZ: found.string_bytes = value; break;
        case DT_SYMTAB: found.symbols = value; break;
        case DT_HASH: found.hash = value; break;
        case DT_GNU_HASH: found.gnu_hash = value; break;
        case DT_RELA: found.relocations = value; break;
        case DT_RELASZ: found.relocation_bytes = value; break;
        case DT_JMPREL: found.jumps = value; break;
        case DT_PLTRELSZ: found.jump_bytes = value; break;
        case DT_RELAENT:
            if (value != sizeof(Elf64_Rela)) refuse("its relocations have another size");
            break;
        case DT_SYMENT:
            if (value != sizeof(Elf64_Sym)) refuse("its symbols have another size");
            break;
        case DT_PLTREL:
            if (value != DT_RELA) refuse("its jumps are relocated in another way");
            break;
        case DT_REL:
        case DT_RELR:
        case DT_TEXTREL: refuse("it is relocated in another way");
        default: break;
        }
    }
    return found;
}

void ElfImage::read_symbols(const Dynamic &dynamic, const HostSymbols &host, uint64_t most) {
    if (!within(dynamic.strings, dynamic.string_bytes, span_.bytes())) refuse("its names leave their segment");
    uint64_t count = 0;
    if (dynamic.hash) {
        count = read<uint32_t>(dynamic.hash + 4);
    } else if (dynamic.gnu_hash) { // the table does not say how many there are: the end of its last chain does
        uint64_t buckets = read<uint32_t>(dynamic.gnu_hash), first = read<uint32_t>(dynamic.gnu_hash + 4);
        uint64_t bloom = read<uint32_t>(dynamic.gnu_hash + 8);
        if (buckets > most || bloom > most) refuse("it has too many symbols");
        uint64_t table = dynamic.gnu_hash + 16 + 8 * bloom, chains = table + 4 * buckets;
        for (uint64_t i = 0; i < buckets; ++i) count = std::max<uint64_t>(count, read<uint32_t>(table + 4 * i));
        if (count && count < first) refuse("its table of symbols is damaged");
        while (count && count <= most && !(read<uint32_t>(chains + 4 * (count - first)) & 1)) ++count;
        count = count ? count + 1 : first;
    } else {
        refuse("it has no table of symbols");
    }
    if (count > most) refuse("it has too many symbols");
    for (uint64_t i = 0; i < count; ++i) {
        Elf64_Sym symbol = read<Elf64_Sym>(dynamic.symbols + i * sizeof(Elf64_Sym));
        std::string_view name = text(dynamic.strings + symbol.st_name, dynamic.strings + dynamic.string_bytes);
        int kind = ELF64_ST_TYPE(symbol.st_info);
        if (kind == STT_TLS || kind == STT_GNU_IFUNC) refuse(shown(name), " is of a kind that is not loaded");
        if (symbol.st_shndx == SHN_UNDEF) {
            void *found = name.empty() ? nullptr : host.find(name);
            bool weak = ELF64_ST_BIND(symbol.st_info) == STB_WEAK || name.empty();
            symbols_.push_back({reinterpret_cast<uint64_t>(found), found || weak});
            if (!found && !weak) refuse("it needs ", shown(name), ", which this runtime does not have");
            continue;
        }
        if (symbol.st_shndx == SHN_ABS || symbol.st_value > span_.bytes()) refuse(shown(name), " leaves its segment");
        symbols_.push_back({reinterpret_cast<uint64_t>(span_.data() + symbol.st_value), true});
        if (!name.empty()) exported_.emplace(name, symbol.st_value);
    }
}

void ElfImage::relocate(uint64_t table, uint64_t bytes) {
    if (!within(table, bytes, span_.bytes())) refuse("its relocations leave their segment");
    for (uint64_t at = table; at + sizeof(Elf64_Rela) <= table + bytes; at += sizeof(Elf64_Rela)) {
        Elf64_Rela one = read<Elf64_Rela>(at);
        uint64_t value = static_cast<uint64_t>(one.r_addend), symbol = ELF64_R_SYM(one.r_info);
        switch (ELF64_R_TYPE(one.r_info)) {
        case RELATIVE:
            if (value > span_.bytes()) refuse("a relocation leaves its segments");
            value += reinterpret_cast<uint64_t>(span_.data());
            break;
        case GLOBAL_DATA:
        case JUMP_SLOT:
        case ABSOLUTE:
            if (symbol >= symbols_.size()) refuse("a relocation names no symbol");
            if (value != 0 && symbols_[symbol].address == 0) refuse("a relocation is odd");
            value += symbols_[symbol].address;
            break;
        default: refuse("it has a relocation of kind ", ELF64_R_TYPE(one.r_info), ", which is not expected");
        }
        write_word(one.r_offset, value);
    }
}

void ElfImage::write_word(uint64_t address, uint64_t value) {
    auto writable = [&](const Segment &segment) {
        return (segment.protection & PROT_WRITE) && address >= segment.start &&
               within(address - segment.start, sizeof value, segment.bytes);
    };
    if (std::none_of(segments_.begin(), segments_.end(), writable)) {
        refuse("a pointer lies in pages that are not to be written");
    }
    std::memcpy(span_.data() + address, &value, sizeof value);
}

void ElfImage::protect() {
    if (mprotect(span_.data(), span_.bytes(), PROT_NONE) != 0) refuse("its pages cannot be protected");
    for (const Segment &segment : segments_) {
        if (mprotect(span_.data() + segment.start, segment.bytes, segment.protection) != 0) {
            refuse("its pages may not be run here");
        }
    }
    // What is not written after relocation; the page that it shares with data stays as it is.
    uint64_t end = (relro_ + relro_bytes_) / page_bytes() * page_bytes(), start = relro_ / page_bytes() * page_bytes();
    if (relro_bytes_ && within(relro_, relro_bytes_, span_.bytes()) && end > start) {
        mprotect(span_.data() + start, end - start, PROT_READ);
    }
}

void *ElfImage::find(const std::string &symbol) const {
    auto found = exported_.find(symbol);
    if (found == exported_.end()) return nullptr;
    for (const Segment &segment : segments_) {
        bool inside = found->second >= segment.start && found->second - segment.start < segment.bytes;
        if (inside && (segment.protection & PROT_EXEC)) return span_.data() + found->second;
    }
    return nullptr;
}

} // namespace ob
