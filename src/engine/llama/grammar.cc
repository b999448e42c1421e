// Grammars through llama.cpp's sampler of them.
#include "engine/llama/grammar.h"

#include <fmt/core.h>
#include <llama.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <exception>
#include <limits>

namespace penstock::engine {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// The text as a regular expression that matches nothing else.
std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(R"(.^$|()[]{}*+?\/-)").contains(c)) out += '\\';
    out += c;
  }
  return out;
}

// Null where llama.cpp refuses the rules.
llama_sampler* ReadRules(const llama_vocab* vocabulary, const GrammarSpec& spec) {
  if (spec.triggers.empty()) {
    return llama_sampler_init_grammar(vocabulary, spec.rules.c_str(), "root");
  }
  std::vector<std::string> patterns;
  std::vector<const char*> pointers;
  for (const std::string& trigger : spec.triggers) patterns.push_back(Escaped(trigger));
  for (const std::string& pattern : patterns) pointers.push_back(pattern.c_str());
  return llama_sampler_init_grammar_lazy_patterns(vocabulary, spec.rules.c_str(), "root",
                                                  pointers.data(), pointers.size(), nullptr, 0);
}

}  // namespace

void Grammar::Free::operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }

Grammar::Grammar(const Tokenizer& tokenizer, Handle rules, const GrammarSpec& spec,
                 std::span<const TokenId> specials)
    : tokenizer_(tokenizer),
      rules_(std::move(rules)),
      triggers_(spec.triggers),
      specials_(specials.begin(), specials.end()),
      waits_(!triggers_.empty()) {}

Result<std::unique_ptr<Grammar>> Grammar::Compile(const Tokenizer& tokenizer,
                                                  const GrammarSpec& spec,
                                                  std::span<const TokenId> specials) try {
  Handle rules(ReadRules(tokenizer.get(), spec));
  if (!rules) {
    return Fail(Code::kInvalidArgument,
                "the format that is asked for cannot be a grammar: a rule of it begins with "
                "itself, or repeats too much; llama.cpp's reason stands in the engine's log",
                "response_format");
  }
  std::unique_ptr<Grammar> made(new Grammar(tokenizer, std::move(rules), spec, specials));
  if (!made->waits_ && !spec.begun.empty() && !made->Begin(spec.begun)) {
    return Fail(Code::kUnsupported,
                "the model's chat template begins its answers otherwise than "
                "the grammar of its tool calls",
                "tools");
  }
  return made;
} catch (const std::exception& error) {
  return Fail(Code::kInvalidArgument,
              fmt::format("the format that is asked for cannot be a grammar: {}", error.what()),
              "response_format");
}

// Takes what the template has written already.
bool Grammar::Begin(std::string_view begun) {
  const auto tokens = tokenizer_.Tokenize(begun, {.add_special = false, .parse_special = true});
  if (!tokens) return false;
  for (std::size_t i = 0; i < tokens->size(); ++i) {
    const std::string piece = PieceOf((*tokens)[i]);
    // Some tokenizers put a space in front, which is not in the text.
    const bool added = i == 0 && piece == " " && begun.front() != ' ';
    if (!added && !Accept((*tokens)[i])) return false;
  }
  return true;
}

std::string Grammar::PieceOf(TokenId token) const {
  const std::string_view piece = tokenizer_.Piece(token);
  return piece.empty() ? tokenizer_.SpecialPiece(token) : std::string(piece);
}

// Whether the token has text that may leave: no special token, no broken character.
bool Grammar::MayWrite(TokenId token) const {
  const std::string_view piece = tokenizer_.Piece(token);
  if (piece.empty()) return std::ranges::find(specials_, token) != specials_.end();
  return characters_.Fits(piece);
}

bool Grammar::RulesAllow(TokenId token) {
  llama_token_data candidate{.id = token, .logit = 0, .p = 0};
  llama_token_data_array candidates{.data = &candidate, .size = 1, .selected = -1, .sorted = false};
  llama_sampler_apply(rules_.get(), &candidates);
  return candidate.logit != kNever;
}

bool Grammar::Allows(TokenId token) {
  if (waits_ || !rules_) return true;
  if (!tokenizer_.IsEndOfGeneration(token) && !MayWrite(token)) return false;
  return RulesAllow(token);
}

void Grammar::Mask(std::span<float> logits) {
  if (waits_ || !rules_) return;
  std::vector<llama_token_data> candidates;
  candidates.reserve(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == kNever) continue;
    const auto token = static_cast<TokenId>(i);
    if (tokenizer_.IsEndOfGeneration(token) || MayWrite(token)) {
      candidates.push_back({.id = token, .logit = logits[i], .p = 0});
    } else {
      logits[i] = kNever;
    }
  }
  llama_token_data_array array{
      .data = candidates.data(), .size = candidates.size(), .selected = -1, .sorted = false};
  llama_sampler_apply(rules_.get(), &array);
  for (std::size_t i = 0; i < array.size; ++i) {
    if (array.data[i].logit == kNever) logits[static_cast<std::size_t>(array.data[i].id)] = kNever;
  }
}

bool Grammar::Accept(TokenId token) try {
  if (!rules_ || tokenizer_.IsEndOfGeneration(token)) return true;
  if (waits_) {
    Watch(token);
    return true;
  }
  llama_sampler_accept(rules_.get(), token);
  ignored_.clear();
  characters_.Feed(tokenizer_.Piece(token), ignored_);
  return true;
} catch (const std::exception&) {
  rules_.reset();
  return false;
}

// llama.cpp looks for triggers with a regular expression in all that was written, each token anew:
// so it is given only the tokens that hold one.
void Grammar::Watch(TokenId token) {
  std::size_t longest = 0;
  for (const std::string& trigger : triggers_) longest = std::max(longest, trigger.size());
  recent_.push_back({token, PieceOf(token)});
  std::string text;
  for (const Recent& one : recent_) text += one.piece;
  // A trigger ends in the last piece, or it would have been found before.
  const std::size_t needed = longest + recent_.back().piece.size();
  while (recent_.size() > 1 && text.size() - recent_.front().piece.size() >= needed) {
    text.erase(0, recent_.front().piece.size());
    recent_.erase(recent_.begin());
  }
  std::size_t found = std::string::npos;
  for (const std::string& trigger : triggers_) found = std::min(found, text.find(trigger));
  if (found == std::string::npos) return;
  waits_ = false;
  std::size_t end = 0;
  for (const Recent& one : recent_) {
    end += one.piece.size();
    if (end <= found) continue;
    llama_sampler_accept(rules_.get(), one.token);
    ignored_.clear();
    characters_.Feed(tokenizer_.Piece(one.token), ignored_);
  }
  recent_.clear();
}

bool Grammar::MayEnd() {
  if (waits_ || !rules_) return true;
  const auto ends = tokenizer_.end_of_generation_tokens();
  return ends.empty() || RulesAllow(ends.front());
}

}  // namespace penstock::engine
