// What the commands that run vectors of conformance/ share: a line for each case of a file.
#pragma once

#include <cstdio>
#include <string>

#include "artifact/files.h"
#include "base/errors.h"
#include "base/text.h"

// Prints what `line_of(case, folder)` says of each case of the file that is the only word, or the error; returns the
// exit code.
template <typename Line> int print_lines(int count, char **words, Line line_of) {
    if (count != 2) return 2;
    std::string path = words[1], folder = path.substr(0, path.rfind('/') + 1);
    for (const ob::Json &value : ob::parse_json(ob::system_text(path), "cases.json").items) {
        try {
            std::puts(line_of(value, folder).c_str());
        } catch (const ob::Error &error) {
            std::printf("%s: %s\n", ob::status_name(error.status), error.message.c_str());
        }
    }
    return 0;
}
