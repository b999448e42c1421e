// Grammar: what one sequence may write next, by rules that llama.cpp reads.
//
// Belongs to one sequence; any thread, one at a time.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/llama/tokenizer.h"
#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/utf8_stream.h"

struct llama_sampler;

namespace penstock::engine {

class Grammar final : public TokenFilter {
 public:
  // `tokenizer` outlives the grammar. `specials`: special tokens that may stand in the text; no
  // other ever may. kInvalidArgument for rules that llama.cpp refuses (a rule that begins with
  // itself, say).
  static Result<std::unique_ptr<Grammar>> Compile(const Tokenizer& tokenizer,
                                                  const GrammarSpec& spec,
                                                  std::span<const TokenId> specials);

  bool Allows(TokenId token) override;
  void Mask(std::span<float> logits) override;

  // Takes the token that was drawn, which was allowed. False where the rules do not take it after
  // all; from then on all is allowed.
  bool Accept(TokenId token);

  // Whether the text may end here.
  bool MayEnd();
  // Whether no trigger has appeared yet.
  bool waits() const { return waits_; }

 private:
  struct Free {
    void operator()(llama_sampler* sampler) const;
  };
  using Handle = std::unique_ptr<llama_sampler, Free>;

  Grammar(const Tokenizer& tokenizer, Handle rules, const GrammarSpec& spec,
          std::span<const TokenId> specials);
  bool MayWrite(TokenId token) const;
  bool RulesAllow(TokenId token);
  std::string PieceOf(TokenId token) const;
  void Watch(TokenId token);
  bool Begin(std::string_view begun);

  struct Recent {
    TokenId token;
    std::string piece;
  };

  const Tokenizer& tokenizer_;
  Handle rules_;  // Null: everything is allowed.
  std::vector<std::string> triggers_;
  std::vector<TokenId> specials_;
  bool waits_;
  std::vector<Recent> recent_;  // While it waits: the last tokens, as long as a trigger could be.
  Utf8Stream characters_;       // What the rules cannot see: that bytes make whole characters.
  std::string ignored_;         // Scratch.
};

}  // namespace penstock::engine
