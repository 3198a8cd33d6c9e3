// The words of a command line: options with and without a value, then arguments.
//
//     Options options({{"--threads", true}, {"--json", false}}, {{"-i", "--inputs"}});
//     options.parse(argc, argv);
//     options.whole("--threads", 1, 1024)          // nullopt where it is not given
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ob {

// What ends a command with exit code 2.
struct UsageError {
    std::string message;
};

class Options {
  public:
    struct Known {
        const char *name;
        bool takes_value;
    };
    Options(std::vector<Known> known, std::map<std::string, std::string> aliases = {});

    void parse(int count, char **words);
    bool given(const std::string &name) const { return last(name) != nullptr; }
    // The last one of its name.
    std::optional<std::string> text(const std::string &name) const;
    // All of that name, what stands between commas apart.
    std::vector<std::string> list(const std::string &name) const;
    // The one of two switches that was given last; nullopt for neither.
    std::optional<bool> either(const std::string &on, const std::string &off) const;
    std::optional<int64_t> whole(const std::string &name, int64_t low, int64_t high) const;
    std::optional<double> real(const std::string &name, double low, double high) const;
    const std::vector<std::string> &arguments() const { return arguments_; }

  private:
    const std::string *last(const std::string &name) const;

    std::vector<Known> known_;
    std::map<std::string, std::string> aliases_;
    std::vector<std::pair<std::string, std::string>> values_;
    std::vector<std::string> arguments_;
};

} // namespace ob
