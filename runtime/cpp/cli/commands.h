// The commands of `ovenbird-run`; each takes the words behind its name, and returns the exit code. They throw Error and
// UsageError.
#pragma once

#include <memory>
#include <string>

#include "base/errors.h"
#include "engine/session.h"
#include "options.h"

namespace ob {

int command_run(int count, char **words);
int command_inspect(int count, char **words);
int command_selftest(int count, char **words);
int command_bench(int count, char **words);

// What several commands share (shared.cpp)
extern const std::vector<Options::Known> LOADING; // options of every command that loads an artifact
const std::string &only_directory(const Options &options);
std::unique_ptr<Session> load_session(const Options &options, const std::string &directory);
void print(const std::string &text);  // to standard output, with a line's end
void print_error(const Error &error); // to standard error
std::string weights_line(const Manifest &manifest);

} // namespace ob
