#include "artifact/parity.h"

#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr double MOST = 1e30;
constexpr int64_t COUNT = int64_t{1} << 31;
constexpr double AGREEMENT_PEAK_RATIO = 20.0;

Limits read_limits(const Json &value, const Where &where) {
    check_fields(value, where, "rms peak offset mismatches");
    auto share = [&](const char *name) { return read_real(*value.find(name), where.field(name), 0, MOST); };
    return {share("rms"), share("peak"), share("offset"), share("mismatches")};
}

Limits read_variant(const Json &value, const Where &where) {
    check_fields(value, where, "precision limits outputs?");
    read_precision(*value.find("precision"), where.field("precision"));
    Limits limits = read_limits(*value.find("limits"), where.field("limits"));
    if (const Json *outputs = value.find("outputs")) {
        Where list = where.field("outputs");
        check_object(*outputs, list, 0, MAX_IO_TENSORS, &NAME);
        for (size_t i = 0; i < outputs->items.size(); ++i) {
            const Json &item = outputs->items[i];
            Where here = list.key(outputs->names[i]);
            check_fields(item, here, "rms peak mismatches dependence blind");
            for (const char *name : {"rms", "peak", "mismatches", "dependence"}) {
                read_real(*item.find(name), here.field(name), 0, MOST);
            }
            read_flag(*item.find("blind"), here.field("blind"));
        }
    }
    return limits;
}

ProgramParity read_program_parity(const Json &value, const Where &where) {
    check_fields(value, where,
                 "max_abs_error tolerance top1_agreement variants? boxes? boxes_agreement?");
    Where errors = where.field("max_abs_error");
    const Json &largest = check_object(*value.find("max_abs_error"), errors, 0, MAX_IO_TENSORS, &NAME);
    for (size_t i = 0; i < largest.items.size(); ++i) {
        read_real(largest.items[i], errors.key(largest.names[i]), 0, MOST);
    }
    read_real(*value.find("tolerance"), where.field("tolerance"), 0, MOST);
    if (const Json *share = given(value, "top1_agreement")) read_real(*share, where.field("top1_agreement"), 0, 1);
    if (const Json *count = given(value, "boxes")) read_whole(*count, where.field("boxes"), 0, COUNT);
    if (const Json *share = given(value, "boxes_agreement")) read_real(*share, where.field("boxes_agreement"), 0, 1);
    ProgramParity parity;
    if (const Json *variants = value.find("variants")) {
        Where list = where.field("variants");
        check_object(*variants, list, 0, MAX_VARIANTS, &FOLDER);
        for (size_t i = 0; i < variants->items.size(); ++i) {
            const std::string &name = variants->names[i];
            parity.variants.emplace_back(name, read_variant(variants->items[i], list.key(name)));
        }
    }
    return parity;
}

} // namespace

Precision read_precision(const Json &value, const Where &where) {
    return static_cast<Precision>(read_choice(value, where, {"f32", "f16", "bf16", "int8"}));
}

const char *precision_name(Precision precision) {
    static const char *names[] = {"f32", "f16", "bf16", "int8"};
    return names[static_cast<int>(precision)];
}

std::string variant_name(const std::string &target, Precision precision) {
    return precision == Precision::F32 ? target : str(target, "-", precision_name(precision));
}

Limits usual_limits(Precision precision) {
    static const double rms[] = {1e-4, 4e-2, 2e-1, 3e-1}, offset[] = {2e-2, 1e-1, 2e-1, 2e-1},
                        mismatches[] = {1e-3, 2e-2, 1e-1, 2e-1};
    int place = static_cast<int>(precision);
    return {rms[place], rms[place] * AGREEMENT_PEAK_RATIO, offset[place], mismatches[place]};
}

Limits Parity::limits_for(const std::string &variant, Precision precision, const std::string &program) const {
    for (const auto &[name, parity] : programs) {
        if (name != program) continue;
        for (const auto &[held, limits] : parity.variants) {
            if (held == variant) return limits;
        }
    }
    return usual_limits(precision);
}

Parity read_parity(const Json &value, const Where &where) {
    check_fields(value, where, "images random_inputs programs");
    whole_field(value, where, "images", 0, COUNT);
    whole_field(value, where, "random_inputs", 0, COUNT);
    Parity parity;
    Where list = where.field("programs");
    const Json &programs = check_object(*value.find("programs"), list, 0, MAX_PROGRAMS, &PROGRAM);
    for (size_t i = 0; i < programs.items.size(); ++i) {
        const std::string &name = programs.names[i];
        parity.programs.emplace_back(name, read_program_parity(programs.items[i], list.key(name)));
    }
    return parity;
}

} // namespace ob
