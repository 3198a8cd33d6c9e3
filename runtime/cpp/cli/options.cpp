#include "options.h"

#include <cerrno>
#include <cstdlib>

#include "base/text.h"

namespace ob {

Options::Options(std::vector<Known> known, std::map<std::string, std::string> aliases)
    : known_(std::move(known)), aliases_(std::move(aliases)) {}

void Options::parse(int count, char **words) {
    bool only_arguments = false;
    for (int i = 0; i < count; ++i) {
        std::string word = words[i];
        if (only_arguments || word.size() < 2 || word[0] != '-') {
            arguments_.push_back(word);
            continue;
        }
        if (word == "--") {
            only_arguments = true;
            continue;
        }
        size_t equals = word.find('=');
        std::string name = word.substr(0, equals);
        auto alias = aliases_.find(name);
        if (alias != aliases_.end()) name = alias->second;
        const Known *found = nullptr;
        for (const Known &one : known_) {
            if (name == one.name) found = &one;
        }
        if (!found) throw UsageError{str("No such option ", quoted(word.substr(0, equals)))};
        if (!found->takes_value) {
            if (equals != word.npos) throw UsageError{str("Option ", quoted(name), " does not take a value.")};
            values_.emplace_back(name, "");
        } else if (equals != word.npos) {
            values_.emplace_back(name, word.substr(equals + 1));
        } else if (i + 1 < count) {
            values_.emplace_back(name, words[++i]);
        } else {
            throw UsageError{str("Option ", quoted(name), " requires an argument.")};
        }
    }
}

std::optional<std::string> Options::text(const std::string &name) const {
    const std::string *found = last(name);
    return found ? std::optional(*found) : std::nullopt;
}

const std::string *Options::last(const std::string &name) const {
    const std::string *found = nullptr;
    for (const auto &[known, value] : values_) {
        if (known == name) found = &value;
    }
    return found;
}

std::vector<std::string> Options::list(const std::string &name) const {
    std::vector<std::string> found;
    for (const auto &[known, value] : values_) {
        if (known != name) continue;
        for (const std::string &part : split(value, ",")) {
            size_t start = part.find_first_not_of(" \t"), end = part.find_last_not_of(" \t");
            if (start != part.npos) found.push_back(part.substr(start, end - start + 1));
        }
    }
    return found;
}

std::optional<bool> Options::either(const std::string &on, const std::string &off) const {
    std::optional<bool> found;
    for (const auto &[name, value] : values_) {
        if (name == on || name == off) found = name == on;
    }
    return found;
}

std::optional<int64_t> Options::whole(const std::string &name, int64_t low, int64_t high) const {
    std::optional<std::string> value = text(name);
    if (!value) return std::nullopt;
    char *end = nullptr;
    errno = 0;
    long long number = std::strtoll(value->c_str(), &end, 10);
    if (value->empty() || *end || errno || number < low || number > high) {
        throw UsageError{str("Invalid value for ", quoted(name), ": ", shown(*value), " is not a whole number from ",
                             low, " to ", high, ".")};
    }
    return number;
}

std::optional<double> Options::real(const std::string &name, double low, double high) const {
    std::optional<std::string> value = text(name);
    if (!value) return std::nullopt;
    char *end = nullptr;
    double number = std::strtod(value->c_str(), &end);
    if (value->empty() || *end || !(number >= low && number <= high)) {
        throw UsageError{str("Invalid value for ", quoted(name), ": ", shown(*value), " is not a number from ",
                             format("%g", low), " to ", format("%g", high), ".")};
    }
    return number;
}

} // namespace ob
