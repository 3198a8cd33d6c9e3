#include "artifact/parity.h"

#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr double MOST = 1e30;
constexpr int64_t COUNT = int64_t{1} << 31;
constexpr double AGREEMENT_PEAK_RATIO = 20.0;

Limits read_limits(const Value &value) {
    check_fields(value, "rms peak offset mismatches");
    auto share = [&](const char *name) { return read_real(value.field(name), 0, MOST); };
    return {share("rms"), share("peak"), share("offset"), share("mismatches")};
}

Limits read_variant(const Value &value) {
    check_fields(value, "precision limits outputs?");
    read_precision(value.field("precision"));
    Limits limits = read_limits(value.field("limits"));
    if (Value outputs = value.field("outputs")) {
        size_t count = check_object(outputs, 0, MAX_IO_TENSORS, &NAME);
        for (size_t i = 0; i < count; ++i) {
            Value item = outputs.entry(i);
            check_fields(item, "rms peak mismatches dependence blind");
            for (const char *name : {"rms", "peak", "mismatches", "dependence"}) read_real(item.field(name), 0, MOST);
            bool blind;
            item.flag("blind", blind);
        }
    }
    return limits;
}

ProgramParity read_program_parity(const Value &value) {
    check_fields(value, "max_abs_error tolerance top1_agreement variants? boxes? boxes_agreement?");
    Value errors = value.field("max_abs_error");
    size_t outputs = check_object(errors, 0, MAX_IO_TENSORS, &NAME);
    for (size_t i = 0; i < outputs; ++i) read_real(errors.entry(i), 0, MOST);
    read_real(value.field("tolerance"), 0, MOST);
    if (Value share = value.given("top1_agreement")) read_real(share, 0, 1);
    if (Value count = value.given("boxes")) read_whole(count, 0, COUNT);
    if (Value share = value.given("boxes_agreement")) read_real(share, 0, 1);
    ProgramParity parity;
    if (Value variants = value.field("variants")) {
        size_t count = check_object(variants, 0, MAX_VARIANTS, &FOLDER);
        for (size_t i = 0; i < count; ++i) {
            parity.variants.emplace_back(variants->names[i], read_variant(variants.entry(i)));
        }
    }
    return parity;
}

} // namespace

Precision read_precision(const Value &value) { return static_cast<Precision>(read_choice(value, "f32 f16 bf16 int8")); }

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

Parity read_parity(const Value &value) {
    check_fields(value, "images random_inputs programs");
    read_whole(value.field("images"), 0, COUNT);
    read_whole(value.field("random_inputs"), 0, COUNT);
    Parity parity;
    Value programs = value.field("programs");
    size_t count = check_object(programs, 0, MAX_PROGRAMS, &PROGRAM);
    for (size_t i = 0; i < count; ++i) {
        parity.programs.emplace_back(programs->names[i], read_program_parity(programs.entry(i)));
    }
    return parity;
}

} // namespace ob
