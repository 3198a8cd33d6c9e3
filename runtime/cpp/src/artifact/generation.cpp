#include "artifact/generation.h"

#include <algorithm>

#include "base/limits.h"

namespace ob {

namespace {

void read_use(StateUse &use, const Value &value) {
    check_fields(value, "program tensor");
    value.text("program", use.program, PROGRAM);
    value.text("tensor", use.tensor, NAME);
}

void read_state(KeptState &state, const Value &value) {
    check_fields(value, "dtype shape axis reads writes");
    state.dtype = read_dtype(value.field("dtype"));
    value.shape("shape", state.shape, 1, MAX_DIM, 1, MAX_RANK - 1);
    state.axis = static_cast<size_t>(read_whole(value.field("axis"), 0, MAX_RANK - 2));
    state.reads = read_items<StateUse>(value.field("reads"), 1, MAX_PROGRAMS, read_use);
    state.writes = read_items<StateUse>(value.field("writes"), 1, MAX_PROGRAMS, read_use);
}

void read_vocabulary(TextLoop &loop, const Value &value) {
    check_fields(value, "kind? file? lower_case?");
    if (Value kind = value.field("kind")) read_choice(kind, "wordpiece");
    loop.vocabulary = "vocabulary.txt";
    value.text("file", loop.vocabulary, PATH);
    value.flag("lower_case", loop.lower_case);
}

StateUses uses_of(const std::vector<KeptState> &states, const std::string &program,
                  std::vector<StateUse> KeptState::*kind) {
    StateUses found;
    for (size_t i = 0; i < states.size(); ++i) {
        for (const StateUse &use : states[i].*kind) {
            if (use.program == program) found.emplace_back(use.tensor, i);
        }
    }
    return found;
}

} // namespace

SearchKind read_search(const Value &value) {
    SearchKind search;
    if (read_choice(value.field("kind"), "beam greedy") == 1) {
        check_fields(value, "kind?");
        return search;
    }
    check_fields(value, "kind? beams? length_penalty? early_stopping?");
    search.beams = 4;
    value.whole("beams", search.beams, 2, MAX_BEAMS);
    value.real("length_penalty", search.length_penalty, -10.0, 10.0);
    if (Value found = value.field("early_stopping")) {
        if (found->kind == Json::Kind::Bool) {
            search.early_stopping = found->truth ? EarlyStopping::Yes : EarlyStopping::No;
        } else if (found->kind == Json::Kind::String && found->text == "never") {
            search.early_stopping = EarlyStopping::Never;
        } else {
            refuse(found, "another kind of value (see the JSON Schema)");
        }
    }
    return search;
}

bool TextLoop::ends(int64_t token) const { return std::find(end.begin(), end.end(), token) != end.end(); }

std::vector<KeptState> read_states(const Value &value) {
    std::vector<KeptState> states(check_object(value, 0, MAX_IO_TENSORS, &NAME));
    for (size_t i = 0; i < states.size(); ++i) {
        states[i].name = value->names[i];
        read_state(states[i], value.entry(i));
    }
    return states;
}

TextLoop read_loop(const Value &value) {
    check_fields(value, "once step token position logits begin end hidden max_length vocabulary search? "
                        "no_repeat_ngram_size?");
    TextLoop loop;
    loop.once = read_texts(value.field("once"), 1, MAX_PROGRAMS, PROGRAM);
    value.text("step", loop.step, PROGRAM);
    value.text("token", loop.token, NAME);
    value.text("position", loop.position, NAME);
    value.text("logits", loop.logits, NAME);
    value.wholes("begin", loop.begin, 0, MAX_DIM, 1, MAX_TOKENS);
    value.wholes("end", loop.end, 0, MAX_DIM, 0, 16);
    value.wholes("hidden", loop.hidden, 0, MAX_DIM, 0, 1024);
    value.whole("max_length", loop.max_length, 2, MAX_TOKENS);
    read_vocabulary(loop, value.field("vocabulary"));
    if (Value search = value.field("search")) loop.search = read_search(search);
    value.whole("no_repeat_ngram_size", loop.no_repeat_ngram_size, 0, MAX_TOKENS);
    return loop;
}

StateUses reads_of(const std::vector<KeptState> &states, const std::string &program) {
    return uses_of(states, program, &KeptState::reads);
}

StateUses writes_of(const std::vector<KeptState> &states, const std::string &program) {
    return uses_of(states, program, &KeptState::writes);
}

} // namespace ob
