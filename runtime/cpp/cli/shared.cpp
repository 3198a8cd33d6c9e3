#include <cstdio>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "commands.h"

namespace ob {

const std::vector<Options::Known> LOADING = {
    {"--threads", true},           {"--target", true}, {"--precision", true}, {"--device", true},
    {"--require-signature", true}, {"--json", false},
};

const std::string &only_directory(const Options &options) {
    if (options.arguments().empty()) throw UsageError{"Missing argument 'DIR'."};
    if (options.arguments().size() > 1) {
        throw UsageError{str("Got unexpected extra argument (", one_line(options.arguments()[1]), ")")};
    }
    return options.arguments()[0];
}

std::unique_ptr<Session> load_session(const Options &options, const std::string &directory) {
    int64_t threads = options.whole("--threads", 1, MAX_THREADS).value_or(0);
    std::string device = options.text("--device").value_or("cpu");
    if (device != "cpu") {
        fail(OVENBIRD_DEVICE_UNAVAILABLE, "device ", shown(device),
             " is unknown here: this runtime has cpu; use ovenbird-rt");
    }
    std::optional<std::string> key = options.text("--require-signature");
    LoadOptions load{key ? key->c_str() : nullptr, options.text("--target").value_or(""),
                     options.text("--precision").value_or("")};
    if (!load.precision.empty() && load.precision != "f32" && load.precision != "f16" && load.precision != "bf16" &&
        load.precision != "int8") {
        throw UsageError{str("Invalid value for '--precision': ", quoted(load.precision),
                             " is not one of 'f32', 'f16', 'bf16', 'int8'.")};
    }
    return std::make_unique<Session>(load_model(directory, load), static_cast<int>(threads));
}

void print(const std::string &text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
}

void print_error(const Error &error) {
    std::fprintf(stderr, "error: %s: %s\n", status_name(error.status), error.message.c_str());
}

std::string weights_line(const Manifest &manifest) {
    if (!manifest.random_weights) {
        return one_line(
            str("weights: ", manifest.origin, manifest.origin_detail.empty() ? "" : " ", manifest.origin_detail));
    }
    std::string seed = manifest.seed ? str(" (seed ", *manifest.seed, ")") : "";
    return str("RANDOM WEIGHTS", seed, ": what this network says about an image means nothing");
}

} // namespace ob
