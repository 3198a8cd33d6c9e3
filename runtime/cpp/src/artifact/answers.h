// Post-processing steps as data: what a program's outputs mean (`ovenbird_runtime/manifest/answers.py`).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "artifact/program.h"
#include "base/schema.h"

namespace ob {

void read_answer(AnswerStep &step, const Value &value);

// The outputs that a step reads, its own first.
std::vector<std::string> outputs_of(const AnswerStep &step);

// What is wrong with a program's steps, given its outputs and the artifact's files; empty where nothing is.
std::string answers_problem(const Program &program, const std::vector<std::string> &files);

} // namespace ob
