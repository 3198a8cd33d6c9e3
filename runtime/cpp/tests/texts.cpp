// ovenbird-texts CASES: what conformance/texts says of each case: tokens or a text as JSON, or the error; a line each.
#include <cmath>

#include "artifact/files.h"
#include "base/json.h"
#include "base/text.h"
#include "generation/search.h"
#include "generation/wordpiece.h"
#include "lines.h"

namespace {

ob::Tokens whole_numbers(const ob::Json &value) {
    ob::Tokens found;
    for (const ob::Json &item : value.items) found.push_back(item.integer);
    return found;
}

std::string numbers_text(const ob::Tokens &tokens) {
    std::vector<std::string> texts;
    for (int64_t token : tokens) texts.push_back(std::to_string(token));
    return "[" + ob::join(texts) + "]";
}

// Those behind n tokens that end in t are row (7 n + t) mod rows of the table.
ob::Tokens search(const ob::Json &value) {
    std::vector<std::vector<float>> table;
    for (const ob::Json &row : value.find("logits")->items) {
        table.emplace_back();
        for (const ob::Json &one : row.items) {
            table.back().push_back(one.kind == ob::Json::Kind::String ? NAN : static_cast<float>(one.real));
        }
    }
    ob::SearchSettings settings{whole_numbers(*value.find("end")), value.find("max_length")->integer,
                                value.find("no_repeat_ngram_size")->integer};
    ob::SearchKind kind = ob::read_search(ob::Value(*value.find("search"), "search"));
    auto search = ob::search_for(kind, settings, whole_numbers(*value.find("prompt")));
    while (!search->done()) {
        ob::LogitRows rows;
        for (int64_t token : search->tokens()) {
            size_t row = 7 * (search->position() + 1) + static_cast<size_t>(token);
            rows.push_back(table[row % table.size()].data());
        }
        search->advance(rows, table[0].size());
    }
    return search->result();
}

ob::WordPieces pieces_of(const std::string &folder, bool lower_case) {
    ob::Json file = ob::parse_json(ob::system_text(folder + "vocabulary.json"), "vocabulary.json");
    std::vector<std::string> pieces;
    for (const ob::Json &piece : file.find("pieces")->items) pieces.push_back(piece.text);
    return ob::WordPieces(std::move(pieces), whole_numbers(*file.find("hidden")), lower_case);
}

std::string line_of(const ob::Json &value, const std::string &folder) {
    if (value.find("search")) return numbers_text(search(value));
    if (const ob::Json *text = value.find("encode")) {
        return numbers_text(pieces_of(folder, value.find("lower_case")->truth).tokens(text->text));
    }
    return ob::json_quoted(pieces_of(folder, true).text(whole_numbers(*value.find("decode"))));
}

} // namespace

int main(int count, char **words) { return print_lines(count, words, line_of); }
