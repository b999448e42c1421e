#include "convert/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "convert/json_fields.h"
#include "convert/pre_tokenizer.h"
#include "convert/unigram.h"

namespace penstock::convert {
namespace {

using boost::json::object;

constexpr std::string_view kBlank = "\xE2\x96\x81";  // U+2581, in the place of a blank.
// DeepSeek frames its special tokens with a wide bar, U+FF5C: "<｜User｜>".
constexpr std::string_view kWideOpen = "<\xEF\xBD\x9C";
constexpr std::string_view kWideClose = "\xEF\xBD\x9C>";
constexpr float kUnusedScore = -10000;

struct AddedToken {
  std::string text;
  bool special = false;
};

class Builder {
 public:
  Builder(const TokenizerFiles& files, std::uint32_t size) : files_(files), size_(size) {
    made_.tokens.resize(size);
    made_.types.assign(size, TokenType::kUnused);
    given_.assign(size, false);
  }

  Result<Vocabulary> Make() {
    if (!files_.tokenizer && !files_.word_list.empty()) return MakeFromWordList();
    if (!files_.tokenizer) return MakeFromPieces();
    const object* model = FindObject(*files_.tokenizer, "model");
    const auto type = model == nullptr ? std::nullopt : FindString(*model, "type");
    if (model == nullptr) return Fail(Code::kCorrupt, "tokenizer.json has no model");
    const bool byte_fallback = FindBool(*model, "byte_fallback").value_or(false);
    // Files of old writers name no type: what has merges is BPE.
    const std::string kind =
        type.value_or(FindArray(*model, "merges") == nullptr ? "WordPiece" : "BPE");
    if (kind == "WordPiece") return MakeWordPiece(*model);
    if (kind == "Unigram") return MakeUnigram();
    if (kind == "BPE" && byte_fallback && files_.sentencepiece) return MakeFromPieces();
    if (kind == "BPE" && byte_fallback) return MakeFromMerges(*model);
    if (kind == "BPE") return MakeBytePairs(*model);
    return Fail(
        Code::kUnsupported,
        fmt::format("a tokenizer of type {} cannot be converted; BPE, WordPiece and Unigram can",
                    kind.substr(0, 60)));
  }

 private:
  Status Put(std::int64_t id, std::string text, TokenType type) {
    if (id < 0 || id >= static_cast<std::int64_t>(size_)) {
      return Fail(Code::kCorrupt,
                  fmt::format("the tokenizer gives \"{}\" the id {}, the model has {} tokens",
                              text.substr(0, 60), id, size_));
    }
    const auto at = static_cast<std::size_t>(id);
    made_.tokens[at] = std::move(text);
    made_.types[at] = type;
    given_[at] = true;
    return {};
  }

  // `model.vocab`: an object from text to id.
  Status PutVocabulary(const object& model) {
    const object* vocab = FindObject(model, "vocab");
    if (vocab == nullptr) return Fail(Code::kCorrupt, "tokenizer.json has no vocabulary");
    for (const auto& entry : *vocab) {
      boost::json::error_code error;
      const auto id = entry.value().to_number<std::int64_t>(error);
      if (error) {
        return Fail(Code::kCorrupt, fmt::format("tokenizer.json: the id of \"{}\" is no number",
                                                std::string_view(entry.key()).substr(0, 60)));
      }
      if (auto put = Put(id, std::string(entry.key()), TokenType::kNormal); !put) return put;
    }
    return {};
  }

  // Tokens that were added to the vocabulary: they keep their text whole.
  Status PutAdded() {
    const auto put = [this](std::int64_t id, const object& token) -> Status {
      auto text = FindString(token, "content");
      if (!text) return Fail(Code::kCorrupt, "an added token has no content");
      const bool special = FindBool(token, "special").value_or(false) || LooksSpecial(*text);
      TokenType type = special ? TokenType::kControl : TokenType::kUserDefined;
      if (id >= 0 && id < static_cast<std::int64_t>(size_) &&
          made_.types[static_cast<std::size_t>(id)] == TokenType::kUnknown) {
        type = TokenType::kUnknown;
      }
      // What stands for a blank within ordinary tokens is a plain one in these.
      if (type == TokenType::kUserDefined) ReplaceBlanks(*text);
      return Put(id, std::move(*text), type);
    };
    if (files_.tokenizer) {
      if (const auto* added = FindArray(*files_.tokenizer, "added_tokens"); added != nullptr) {
        for (const auto& token : *added) {
          if (!token.is_object()) continue;
          const auto id = FindInteger(token.get_object(), "id").value_or(-1);
          if (auto done = put(id, token.get_object()); !done) return done;
        }
      }
    }
    if (!files_.config) return {};
    const object* decoder = FindObject(*files_.config, "added_tokens_decoder");
    if (decoder == nullptr) return {};
    for (const auto& entry : *decoder) {
      std::int64_t id = 0;
      const std::string_view key = entry.key();
      const bool number =
          !key.empty() && key.size() < 10 &&
          std::ranges::all_of(
              key, [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; });
      if (!number || !entry.value().is_object()) continue;
      for (const char c : key) id = id * 10 + (c - '0');
      if (id >= static_cast<std::int64_t>(size_)) continue;  // Never asked for.
      if (auto done = put(id, entry.value().get_object()); !done) return done;
    }
    return {};
  }

  static bool LooksSpecial(std::string_view text) {
    const bool framed = (text.starts_with("<|") && text.ends_with("|>")) ||
                        (text.starts_with(kWideOpen) && text.ends_with(kWideClose));
    return text.size() > 4 && (framed || text == "<unk>" || text == "<pad>" || text == "<mask>");
  }

  static void ReplaceBlanks(std::string& text) {
    for (auto at = text.find(kBlank); at != std::string::npos; at = text.find(kBlank, at + 1)) {
      text.replace(at, kBlank.size(), " ");
    }
  }

  // Ids that the tokenizer does not give; the model has embeddings for them all the same.
  void FillGaps() {
    for (std::size_t id = 0; id < size_; ++id) {
      if (!given_[id]) made_.tokens[id] = fmt::format("[PAD{}]", id);
    }
  }

  Result<Vocabulary> Finish() {
    FillGaps();
    FindSpecialTokens();
    FindAddedEnds();
    made_.chat_template = files_.chat_template;
    if (made_.chat_template.empty() && files_.config) FindChatTemplate();
    return std::move(made_);
  }

  Result<Vocabulary> MakeBytePairs(const object& model) {
    made_.model = "gpt2";
    auto pre = PreTokenizerOf(*files_.tokenizer);
    if (!pre) return Fail(pre.error());
    made_.pre = std::move(*pre);
    if (auto put = PutVocabulary(model); !put) return Fail(put.error());
    if (auto put = PutAdded(); !put) return Fail(put.error());
    auto merges = ReadMerges(model);
    if (!merges) return Fail(merges.error());
    made_.merges = std::move(*merges);
    return Finish();
  }

  // SentencePiece without its own file: the scores follow from the order of the merges.
  Result<Vocabulary> MakeFromMerges(const object& model) {
    made_.model = "llama";
    made_.pre = "default";
    if (auto put = PutVocabulary(model); !put) return Fail(put.error());
    const auto merges = ReadMerges(model);
    if (!merges) return Fail(merges.error());
    std::map<std::string, std::size_t> rank;
    for (std::size_t i = 0; i < merges->size(); ++i) {
      std::string joined = (*merges)[i];
      joined.erase(joined.find(' '), 1);
      rank.emplace(std::move(joined), i);
    }
    const std::string unknown = FindString(model, "unk_token").value_or("<unk>");
    made_.scores.assign(size_, kUnusedScore);
    for (std::size_t id = 0; id < size_; ++id) {
      const std::string& token = made_.tokens[id];
      if (!given_[id]) continue;
      if (token == unknown) made_.types[id] = TokenType::kUnknown;
      if (IsByteToken(token)) made_.types[id] = TokenType::kByte;
      const auto found = rank.find(token);
      made_.scores[id] = found == rank.end() ? 0 : -static_cast<float>(found->second);
    }
    if (auto put = PutAdded(); !put) return Fail(put.error());
    made_.add_space_prefix = PutsBlankInFront(*files_.tokenizer);
    return Finish();
  }

  Result<Vocabulary> MakeFromPieces() {
    if (!files_.sentencepiece) return Fail(Code::kNotFound, "the model has no tokenizer");
    if (!files_.sentencepiece->byte_pairs) {
      return Fail(
          Code::kUnsupported,
          "tokenizer.model is a unigram model, whose ids only tokenizer.json says: save the "
          "tokenizer anew with AutoTokenizer, which writes that file");
    }
    made_.model = "llama";
    made_.pre = "default";
    made_.scores.assign(size_, kUnusedScore);
    for (std::size_t id = 0; id < files_.sentencepiece->pieces.size(); ++id) {
      const Piece& piece = files_.sentencepiece->pieces[id];
      if (auto put = Put(static_cast<std::int64_t>(id), piece.text, piece.type); !put) {
        return Fail(put.error());
      }
      made_.scores[id] = piece.score;
    }
    if (auto put = PutAdded(); !put) return Fail(put.error());
    made_.add_space_prefix = files_.sentencepiece->dummy_prefix;
    return Finish();
  }

  // The pieces' ids are their places.
  Result<Vocabulary> MakeUnigram() {
    const auto unigram = ReadUnigram(*files_.tokenizer);
    if (!unigram) return Fail(unigram.error());
    made_.model = "t5";
    made_.pre = "default";
    made_.scores.assign(size_, kUnusedScore);
    for (std::size_t id = 0; id < unigram->pieces.size(); ++id) {
      const UnigramPiece& piece = unigram->pieces[id];
      const bool unknown = static_cast<std::int64_t>(id) == unigram->unknown_id;
      if (auto put = Put(static_cast<std::int64_t>(id), piece.text,
                         unknown ? TokenType::kUnknown : TokenType::kNormal);
          !put) {
        return Fail(put.error());
      }
      made_.scores[id] = piece.score;
    }
    if (auto put = PutAdded(); !put) return Fail(put.error());
    made_.add_space_prefix = unigram->blank_in_front;
    made_.merges_blanks = unigram->merges_blanks;
    made_.character_map = unigram->character_map;
    made_.special_ids["unknown"] = static_cast<std::uint32_t>(unigram->unknown_id);
    auto made = Finish();
    // XLM-R's texts begin and end with these, whatever the files say.
    if (made && !made->add_bos) made->add_bos = true;
    if (made && !made->add_eos) made->add_eos = true;
    return made;
  }

  Result<Vocabulary> MakeWordPiece(const object& model) {
    if (auto put = PutVocabulary(model); !put) return Fail(put.error());
    if (auto put = PutAdded(); !put) return Fail(put.error());
    return FinishWords();
  }

  Result<Vocabulary> MakeFromWordList() {
    for (std::size_t id = 0; id < files_.word_list.size(); ++id) {
      if (auto put = Put(static_cast<std::int64_t>(id), files_.word_list[id], TokenType::kNormal);
          !put) {
        return Fail(put.error());
      }
    }
    if (auto put = PutAdded(); !put) return Fail(put.error());
    return FinishWords();
  }

  // WordPiece marks what continues a word ("##ing"); GGUF marks what begins one.
  Result<Vocabulary> FinishWords() {
    made_.model = "bert";
    made_.pre = "bert-bge";
    for (std::size_t id = 0; id < size_; ++id) {
      std::string& token = made_.tokens[id];
      if (!given_[id]) continue;
      const bool bracketed = token.size() > 2 && token.front() == '[' && token.back() == ']';
      if (bracketed && made_.types[id] == TokenType::kNormal) {
        made_.types[id] = TokenType::kControl;
      }
      if (made_.types[id] == TokenType::kControl) continue;
      if (token.starts_with("##")) {
        token.erase(0, 2);
      } else {
        token.insert(0, kBlank);
      }
    }
    return Finish();
  }

  static bool IsByteToken(std::string_view text) {
    return text.size() == 6 && text.starts_with("<0x") && text.back() == '>';
  }

  Result<std::vector<std::string>> ReadMerges(const object& model) const {
    const auto* list = FindArray(model, "merges");
    if (list == nullptr || list->empty()) {
      return Fail(Code::kCorrupt, "tokenizer.json has no merges");
    }
    std::vector<std::string> merges;
    for (const auto& merge : *list) {
      std::string text;
      if (merge.is_string()) {
        text = merge.get_string();
      } else if (merge.is_array() && merge.get_array().size() == 2 &&
                 merge.get_array()[0].is_string() && merge.get_array()[1].is_string()) {
        text = fmt::format("{} {}", std::string_view(merge.get_array()[0].get_string()),
                           std::string_view(merge.get_array()[1].get_string()));
      }
      const auto blank = text.find(' ');
      if (blank == std::string::npos || blank == 0 || blank + 1 == text.size() ||
          text.find(' ', blank + 1) != std::string::npos) {
        return Fail(Code::kCorrupt,
                    fmt::format("tokenizer.json: merge {} is not a pair", merges.size()));
      }
      merges.push_back(std::move(text));
    }
    return merges;
  }

  // The text of a special token in either file; there it may stand within an object.
  std::optional<std::string> SpecialText(const char* key) const {
    for (const auto* file : {&files_.config, &files_.special_tokens}) {
      if (!*file) continue;
      if (auto text = FindString(**file, key)) return text;
      if (const object* token = FindObject(**file, key); token != nullptr) {
        if (auto text = FindString(*token, "content")) return text;
      }
    }
    return std::nullopt;
  }

  void FindSpecialTokens() {
    struct Row {
      const char* key;
      const char* name;
    };
    constexpr std::array<Row, 7> kRows = {
        Row{"bos_token", "bos"},       Row{"eos_token", "eos"},     Row{"unk_token", "unknown"},
        Row{"sep_token", "seperator"}, Row{"pad_token", "padding"}, Row{"cls_token", "cls"},
        Row{"mask_token", "mask"}};
    for (const Row& row : kRows) {
      const auto text = SpecialText(row.key);
      if (!text) continue;
      const auto found = std::ranges::find(made_.tokens, *text);
      if (found == made_.tokens.end()) continue;
      made_.special_ids[row.name] = static_cast<std::uint32_t>(found - made_.tokens.begin());
    }
    if (made_.model != "bert" && made_.model != "t5") return;
    // An encoder's texts begin and end with these, whatever the files say.
    const auto put_if_absent = [this](const char* name, const char* from, const char* text) {
      if (made_.special_ids.contains(name)) return;
      if (const auto other = made_.special_ids.find(from); other != made_.special_ids.end()) {
        made_.special_ids[name] = other->second;
        return;
      }
      const auto found = std::ranges::find(made_.tokens, text);
      if (found == made_.tokens.end()) return;
      made_.special_ids[name] = static_cast<std::uint32_t>(found - made_.tokens.begin());
    };
    if (made_.model == "t5") {
      put_if_absent("bos", "cls", "<s>");
      put_if_absent("eos", "seperator", "</s>");
      put_if_absent("cls", "bos", "<s>");
      put_if_absent("seperator", "eos", "</s>");
      put_if_absent("padding", "", "<pad>");
      put_if_absent("mask", "", "<mask>");
      return;
    }
    put_if_absent("cls", "bos", "[CLS]");
    put_if_absent("seperator", "eos", "[SEP]");
    put_if_absent("unknown", "", "[UNK]");
    put_if_absent("padding", "", "[PAD]");
    put_if_absent("mask", "", "[MASK]");
    put_if_absent("bos", "cls", "[CLS]");
    put_if_absent("eos", "seperator", "[SEP]");
  }

  // Whether a text gets its first and last token without being asked.
  void FindAddedEnds() {
    if (files_.config) {
      made_.add_bos = FindBool(*files_.config, "add_bos_token");
      made_.add_eos = FindBool(*files_.config, "add_eos_token");
    }
    if (made_.model == "bert" || !files_.tokenizer || made_.add_bos) return;
    const object* processor = FindObject(*files_.tokenizer, "post_processor");
    if (processor == nullptr) return;
    if (const auto* several = FindArray(*processor, "processors"); several != nullptr) {
      for (const auto& one : *several) {
        if (one.is_object()) ReadTemplate(one.get_object());
      }
    } else {
      ReadTemplate(*processor);
    }
  }

  void ReadTemplate(const object& processor) {
    if (FindString(processor, "type") != "TemplateProcessing") return;
    const auto* single = FindArray(processor, "single");
    if (single == nullptr || single->empty()) return;
    const auto special = [](const boost::json::value& part) {
      return part.is_object() && FindObject(part.get_object(), "SpecialToken") != nullptr;
    };
    if (single->size() < 2) return;
    if (special(single->front())) made_.add_bos = true;
    if (special(single->back())) made_.add_eos = true;
  }

  void FindChatTemplate() {
    const auto* chat = Find(*files_.config, "chat_template");
    if (chat == nullptr) return;
    if (chat->is_string()) made_.chat_template = chat->get_string();
    if (!chat->is_array()) return;
    for (const auto& one : chat->get_array()) {  // Several, by name.
      if (!one.is_object()) continue;
      if (FindString(one.get_object(), "name") != "default") continue;
      made_.chat_template = FindString(one.get_object(), "template").value_or("");
    }
  }

  const TokenizerFiles& files_;
  std::uint32_t size_;
  Vocabulary made_;
  std::vector<bool> given_;
};

}  // namespace

Result<Vocabulary> MakeVocabulary(const TokenizerFiles& files, std::uint32_t size) {
  return Builder(files, size).Make();
}

}  // namespace penstock::convert
