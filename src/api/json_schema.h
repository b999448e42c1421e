// JSON schemas as grammars (GBNF, llama.cpp's notation): what a model may write so that every text
// it finishes is JSON that the schema accepts.
//
// Each keyword is obeyed, is an annotation, or is refused by its name and place: none is ignored.
// The grammar may be narrower than the schema: properties come in the order in which the schema
// names them, those it does not name only where it names none, `oneOf` is taken as `anyOf`.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock {

inline constexpr int kSchemaDepthMax = 128;  // Schemas within schemas, references included.
inline constexpr std::size_t kSchemaRulesMax = 4096;
inline constexpr std::size_t kGrammarBytesMax = std::size_t{256} << 10;
// Repetitions of all items and characters together: each costs memory and time in every draw.
inline constexpr int kSchemaRepetitionsMax = 20'000;

// The rules, `root` first. kInvalidArgument: `field` is the place of the keyword at fault, which
// begins with `path`; the message names it. Pure.
Result<std::string> GrammarOfSchema(simdjson::dom::element schema, std::string_view path);

// Of any JSON object.
std::string GrammarOfAnyObject();

}  // namespace penstock
