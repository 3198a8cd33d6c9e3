#include "generation/search.h"

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr float NEVER = -1.0e9f; // a score that loses to all others

void check_number(double score) {
    if (std::isfinite(score)) return;
    fail(OVENBIRD_ENGINE_CALL_FAILED, "the best token's score is ", repr(score), ": the model's numbers overflow");
}

bool ends(const SearchSettings &settings, int64_t token) {
    return std::find(settings.end.begin(), settings.end.end(), token) != settings.end.end();
}

// Minus infinity where a token would repeat `size` tokens of its sequence.
void forbid_repeats(float *scores, const Tokens &sequence, int64_t size) {
    if (size == 0) return;
    size_t known = static_cast<size_t>(size - 1);
    if (sequence.size() < known) return;
    auto last = sequence.end() - static_cast<long>(known);
    for (size_t start = 0; start + known < sequence.size(); ++start) {
        auto here = sequence.begin() + static_cast<long>(start);
        if (std::equal(last, sequence.end(), here)) scores[here[static_cast<long>(known)]] = -HUGE_VALF;
    }
}

// Logarithms of the softmax.
std::vector<float> log_softmax(const float *logits, size_t count) {
    std::vector<float> found(logits, logits + count);
    float largest = found[0];
    for (float one : found) largest = one > largest || std::isnan(one) ? one : largest;
    double sum = 0;
    for (float &one : found) {
        one -= largest;
        sum += std::exp(one);
    }
    float total = std::log(static_cast<float>(sum));
    for (float &one : found) one -= total;
    return found;
}

// Where the `count` largest stand, the largest first, the first of equal ones first, NaN last.
std::vector<size_t> best_places(const std::vector<float> &scores, size_t count) {
    std::vector<size_t> places;
    auto better = [&](size_t one, size_t two) { // `one` stands behind
        return scores[one] > scores[two] || (std::isnan(scores[two]) && !std::isnan(scores[one]));
    };
    for (size_t place = 0; place < scores.size(); ++place) {
        if (places.size() == count && !better(place, places.back())) continue; // nearly all
        places.insert(std::upper_bound(places.begin(), places.end(), place, better), place);
        if (places.size() > count) places.pop_back();
    }
    return places;
}

// The most probable token at each step.
class GreedySearch : public TokenSearch {
  public:
    GreedySearch(const SearchSettings &settings, Tokens prompt)
        : settings_(settings), prompt_(prompt.size()), tokens_(std::move(prompt)) {}

    Tokens tokens() const override { return {tokens_[position_]}; }
    Tokens result() const override { return tokens_; }

    std::vector<size_t> advance(const LogitRows &logits, size_t vocabulary) override {
        if (++position_ < prompt_) return {0};
        std::vector<float> scores(logits[0], logits[0] + vocabulary);
        forbid_repeats(scores.data(), tokens_, settings_.no_repeat_ngram_size);
        size_t best = 0; // the first of equal ones; NaN wins, to be refused
        for (size_t i = 1; i < vocabulary && !std::isnan(scores[best]); ++i) {
            if (scores[i] > scores[best] || std::isnan(scores[i])) best = i;
        }
        check_number(static_cast<double>(scores[best]));
        tokens_.push_back(static_cast<int64_t>(best));
        done_ = ends(settings_, tokens_.back()) || static_cast<int64_t>(tokens_.size()) >= settings_.max_length;
        return {0};
    }

  private:
    SearchSettings settings_;
    size_t prompt_;
    Tokens tokens_;
};

// The best of several sequences, whole or open.
class BeamSearch : public TokenSearch {
  public:
    BeamSearch(const SearchKind &kind, const SearchSettings &settings, const Tokens &prompt)
        : kind_(kind), settings_(settings), prompt_(prompt.size()), open_{prompt}, scores_{0.0f},
          whole_(beams(), {NEVER, false, prompt}) {}

    Tokens tokens() const override {
        Tokens found;
        for (const Tokens &sequence : open_) found.push_back(sequence[position_]);
        return found;
    }
    Tokens result() const override { return whole_[0].ended ? whole_[0].tokens : open_[0]; }

    std::vector<size_t> advance(const LogitRows &logits, size_t vocabulary) override {
        if (++position_ < prompt_) return {0};
        std::vector<float> totals; // of all beams; before the first choice they are alike, and all but one lose
        size_t rows = open_.size();
        for (size_t row = 0; row < beams(); ++row) {
            size_t source = row < rows ? row : 0;
            float before = row < rows ? scores_[row] : NEVER;
            if (row == source) {
                row_ = log_softmax(logits[row], vocabulary);
                forbid_repeats(row_.data(), open_[row], settings_.no_repeat_ngram_size);
            }
            for (float one : row_) totals.push_back(one + before);
        }
        std::vector<size_t> best = best_places(totals, std::max<size_t>(2, 1 + settings_.end.size()) * beams());
        check_number(static_cast<double>(totals[best[0]]));
        std::vector<Grown> grown;
        for (size_t place : best) {
            Grown one{place / vocabulary % rows, totals[place], false, {}};
            one.tokens = open_[one.parent];
            one.tokens.push_back(static_cast<int64_t>(place % vocabulary));
            bool full = static_cast<int64_t>(one.tokens.size()) >= settings_.max_length;
            one.over = full || ends(settings_, one.tokens.back());
            grown.push_back(std::move(one));
        }
        keep_whole(grown);
        std::vector<float> lowered;
        for (const Grown &one : grown) lowered.push_back(one.score + (one.over ? NEVER : 0.0f));
        std::vector<size_t> parents;
        open_.clear();
        scores_.clear();
        for (size_t place : best_places(lowered, beams())) {
            open_.push_back(grown[place].tokens);
            scores_.push_back(lowered[place]);
            parents.push_back(grown[place].parent);
        }
        see_end(std::all_of(grown.begin(), grown.end(), [](const Grown &one) { return one.over; }));
        return parents;
    }

  private:
    struct Grown {
        size_t parent;
        float score;
        bool over;
        Tokens tokens;
    };
    struct Whole {
        float score;
        bool ended;
        Tokens tokens;
    };

    size_t beams() const { return static_cast<size_t>(kind_.beams); }
    bool all_ended() const {
        return std::all_of(whole_.begin(), whole_.end(), [](const Whole &one) { return one.ended; });
    }

    // Puts sequences that ended, of the best `beams`, among the whole ones.
    void keep_whole(const std::vector<Grown> &grown) {
        bool full = all_ended() && kind_.early_stopping == EarlyStopping::Yes;
        double chosen = static_cast<double>(grown[0].tokens.size() - prompt_);
        float length = static_cast<float>(std::pow(chosen, kind_.length_penalty));
        for (size_t place = 0; place < grown.size(); ++place) {
            bool counted = grown[place].over && place < beams();
            float score = grown[place].score / length;
            for (bool add : {full, !may_improve_, !counted}) score += add ? NEVER : 0.0f;
            auto worse =
                std::find_if(whole_.begin(), whole_.end(), [&](const Whole &known) { return score > known.score; });
            if (worse == whole_.end()) continue;
            whole_.insert(worse, {score, counted, grown[place].tokens});
            whole_.pop_back();
        }
    }

    // Finds out whether an open sequence may still win.
    void see_end(bool none_open) {
        bool longest = kind_.early_stopping == EarlyStopping::Never && kind_.length_penalty > 0.0;
        double length = longest ? static_cast<double>(settings_.max_length) : static_cast<double>(open_[0].size());
        double possible =
            static_cast<double>(scores_[0]) / std::pow(length - static_cast<double>(prompt_), kind_.length_penalty);
        float least = whole_[0].score;
        for (const Whole &one : whole_) least = std::min(least, one.score);
        may_improve_ = may_improve_ && std::any_of(whole_.begin(), whole_.end(), [&](const Whole &one) {
                           return possible > static_cast<double>(one.ended ? least : NEVER);
                       });
        bool enough = all_ended() && kind_.early_stopping == EarlyStopping::Yes;
        done_ = !may_improve_ || enough || none_open;
    }

    SearchKind kind_;
    SearchSettings settings_;
    size_t prompt_;
    std::vector<Tokens> open_;
    std::vector<float> scores_, row_;
    std::vector<Whole> whole_; // the best so far
    bool may_improve_ = true;
};

} // namespace

std::unique_ptr<TokenSearch> search_for(const SearchKind &kind, const SearchSettings &settings, Tokens prompt) {
    if (kind.beams == 1) return std::make_unique<GreedySearch>(settings, std::move(prompt));
    return std::make_unique<BeamSearch>(kind, settings, prompt);
}

} // namespace ob
