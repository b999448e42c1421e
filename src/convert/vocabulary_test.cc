#include "convert/vocabulary.h"

#include <gtest/gtest.h>

#include "convert/json_fields.h"
#include "convert/pre_tokenizer.h"
#include "convert/test_model.h"

namespace penstock::convert {
namespace {

boost::json::object Json(const std::string& text) { return *ParseObject(text, "test"); }

std::string Varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string Block(int field, const std::string& bytes) {
  return Varint(static_cast<std::uint64_t>(field) << 3 | 2) + Varint(bytes.size()) + bytes;
}
std::string PieceOf(const std::string& text, float score, int type) {
  std::string bits(4, 0);
  std::memcpy(bits.data(), &score, 4);
  return Block(1, Block(1, text) + Varint(2 << 3 | 5) + bits + Varint(3 << 3) +
                      Varint(static_cast<std::uint64_t>(type)));
}
std::string Pieces() {
  return PieceOf("<unk>", 0, 2) + PieceOf("<s>", 0, 3) + PieceOf("</s>", 0, 3) +
         PieceOf("<0x41>", 0, 6) + PieceOf("a", -1, 1) + PieceOf("b", -2, 1) +
         PieceOf("ab", -0.5F, 1) + Block(2, Varint(3 << 3) + Varint(2)) +
         Block(3, Varint(3 << 3) + Varint(1));
}
Result<SentencePieceModel> ParsePieces(const std::string& bytes) {
  return ParseSentencePiece({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

TEST(SentencePiece, ReadsPieces) {
  const auto model = ParsePieces(Pieces());
  ASSERT_TRUE(model);
  ASSERT_EQ(model->pieces.size(), 7U);
  EXPECT_EQ(model->pieces[6].text, "ab");
  EXPECT_EQ(model->pieces[6].score, -0.5F);
  EXPECT_EQ(model->pieces[3].type, TokenType::kByte);
  EXPECT_TRUE(model->byte_pairs);
  EXPECT_TRUE(model->dummy_prefix);
}

TEST(SentencePiece, CutsAndNonsenseAreNoticed) {
  const std::string whole = PieceOf("abcdef", 1, 1);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParsePieces(whole.substr(0, size))) << size;
  }
  EXPECT_FALSE(ParsePieces("{\"model\": 1}"));
}

TEST(Vocabulary, OfSentencePiece) {
  TokenizerFiles files{.config = Json(R"({"bos_token":"<s>","eos_token":{"content":"</s>"},)"
                                      R"("add_bos_token":true,"chat_template":"{{x}}"})"),
                       .sentencepiece = *ParsePieces(Pieces())};
  const auto made = MakeVocabulary(files, 9);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->model, "llama");
  EXPECT_EQ(made->tokens[8], "[PAD8]");
  EXPECT_EQ(made->types[8], TokenType::kUnused);
  EXPECT_EQ(made->special_ids.at("bos"), 1U);
  EXPECT_EQ(made->special_ids.at("eos"), 2U);
  EXPECT_EQ(made->add_bos, true);
  EXPECT_EQ(made->add_space_prefix, true);
  EXPECT_EQ(made->chat_template, "{{x}}");
  EXPECT_EQ(MakeVocabulary(files, 5).error().code, Code::kCorrupt);  // More pieces than that.
}

// The same vocabulary without its tokenizer.model: scores in the order of the merges.
TEST(Vocabulary, OfSentencePieceWithoutItsFile) {
  TokenizerFiles files{.tokenizer = Json(R"({"normalizer":{"type":"Prepend","prepend":"_"},
    "model":{"type":"BPE","byte_fallback":true,"unk_token":"<unk>",
    "vocab":{"<unk>":0,"<s>":1,"</s>":2,"<0x41>":3,"a":4,"b":5,"ab":6,"aba":7},
    "merges":["a b","ab a"]},
    "added_tokens":[{"id":0,"content":"<unk>","special":true},
                    {"id":1,"content":"<s>","special":true}]})")};
  const auto made = MakeVocabulary(files, 8);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->model, "llama");
  EXPECT_GT(made->scores[6], made->scores[7]);
  EXPECT_EQ(made->types[0], TokenType::kUnknown);
  EXPECT_EQ(made->types[1], TokenType::kControl);
  EXPECT_EQ(made->types[3], TokenType::kByte);
  EXPECT_EQ(made->add_space_prefix, true);
}

TEST(Vocabulary, OfBytePairs) {
  TokenizerFiles files{.tokenizer = TestModel().tokenizer,
                       .config = Json(R"({"eos_token":"</s>"})")};
  (*files.tokenizer)["post_processor"] =
      Json(R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"</s>"}},)"
           R"({"Sequence":{"id":"A"}}]})");
  const auto made = MakeVocabulary(files, 4);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->model, "gpt2");
  EXPECT_EQ(made->pre, "gpt-2");
  EXPECT_EQ(made->merges, std::vector<std::string>{"a b"});
  EXPECT_EQ(made->types[3], TokenType::kControl);
  EXPECT_EQ(made->special_ids.at("eos"), 3U);
  EXPECT_EQ(made->add_bos, true);
  EXPECT_EQ(MakeVocabulary(files, 3).error().code, Code::kCorrupt);
}

TEST(Vocabulary, NewFilesWriteMergesAsPairs) {
  TokenizerFiles files{.tokenizer = TestModel().tokenizer};
  files.tokenizer->at("model").as_object()["merges"] = boost::json::parse(R"([["a","b"]])");
  EXPECT_EQ(MakeVocabulary(files, 4)->merges, std::vector<std::string>{"a b"});
  files.tokenizer->at("model").as_object()["merges"] = boost::json::array{"ab"};
  EXPECT_EQ(MakeVocabulary(files, 4).error().code, Code::kCorrupt);
}

TEST(Vocabulary, OfWords) {
  TokenizerFiles files{.tokenizer = Json(R"({"model":{"type":"WordPiece","vocab":
    {"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"[MASK]":4,"go":5,"##ing":6}}})")};
  const auto made = MakeVocabulary(files, 8);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->model, "bert");
  EXPECT_EQ(made->tokens[5], "\xE2\x96\x81go");
  EXPECT_EQ(made->tokens[6], "ing");
  EXPECT_EQ(made->types[2], TokenType::kControl);
  EXPECT_EQ(made->special_ids.at("cls"), 2U);
  EXPECT_EQ(made->special_ids.at("seperator"), 3U);
  EXPECT_EQ(made->special_ids.at("unknown"), 1U);
}

// DeepSeek-R1's distills: what is between wide bars is special, whatever the file says, and its
// text stays as it is.
TEST(Vocabulary, OfDeepSeek) {
  TokenizerFiles files{.tokenizer = TestModel().tokenizer};
  files.tokenizer->at("added_tokens") = boost::json::parse(
      R"([{"id":3,"content":"<｜begin▁of▁sentence｜>","special":true},
          {"id":4,"content":"<｜tool▁calls▁begin｜>","special":false},
          {"id":5,"content":"<think>","special":false}])");
  files.config =
      Json(R"({"bos_token":{"content":"<｜begin▁of▁sentence｜>"},"add_bos_token":true})");
  const auto made = MakeVocabulary(files, 6);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->special_ids.at("bos"), 3U);
  EXPECT_EQ(made->tokens[4], "<｜tool▁calls▁begin｜>");
  EXPECT_EQ(made->types[4], TokenType::kControl);
  EXPECT_EQ(made->types[5], TokenType::kUserDefined);
}

std::string UnigramJson(const std::string& steps, const std::string& model = "") {
  return R"({)" + steps + R"("added_tokens":[{"id":0,"content":"<s>","special":true},
    {"id":2,"content":"</s>","special":true}],"model":{"type":"Unigram","unk_id":3)" +
         model + R"(,"vocab":[["<s>",0],["<pad>",0],["</s>",0],["<unk>",0],["\u2581a",-1.5]]}})";
}

TEST(Vocabulary, OfUnigram) {
  const TokenizerFiles files{
      .tokenizer = Json(UnigramJson(
          R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},
         {"type":"Metaspace","add_prefix_space":true}]},)"))};
  const auto made = MakeVocabulary(files, 6);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->model, "t5");
  EXPECT_EQ(made->scores[4], -1.5F);
  EXPECT_EQ(made->types[0], TokenType::kControl);
  EXPECT_EQ(made->types[3], TokenType::kUnknown);
  EXPECT_EQ(made->types[4], TokenType::kNormal);
  EXPECT_EQ(made->types[5], TokenType::kUnused);
  EXPECT_EQ(made->special_ids.at("bos"), 0U);
  EXPECT_EQ(made->special_ids.at("seperator"), 2U);
  EXPECT_EQ(made->special_ids.at("unknown"), 3U);
  EXPECT_EQ(made->special_ids.at("padding"), 1U);
  EXPECT_EQ(made->add_bos, true);
  EXPECT_EQ(made->add_eos, true);
  EXPECT_EQ(made->merges_blanks, true);
  EXPECT_TRUE(made->character_map.empty());
}

// What llama.cpp would read beyond its end, or would do otherwise, is refused.
TEST(Vocabulary, OfUnigramThatCannotBe) {
  const auto code = [](const std::string& json) -> std::optional<Code> {
    const auto made = MakeVocabulary({.tokenizer = Json(json)}, 6);
    return made ? std::nullopt : std::optional(made.error().code);
  };
  const auto map = [&](const std::string& base64) {
    return code(UnigramJson(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":")" +
                            base64 + R"("},)"));
  };
  EXPECT_FALSE(map("BAAAAAAAAABhAA=="));               // One unit, then "a".
  EXPECT_EQ(map("BAAAAAAAAABhYQ=="), Code::kCorrupt);  // The text does not end.
  EXPECT_EQ(map("CAAAAAAAAABhAA=="), Code::kCorrupt);  // Two units, of which one is there.
  EXPECT_EQ(map("BQAAAAAAAABhAA=="), Code::kCorrupt);  // No whole number of units.
  EXPECT_EQ(map("BAA="), Code::kCorrupt);
  EXPECT_EQ(map("!!!!"), Code::kCorrupt);
  EXPECT_EQ(code(UnigramJson(R"("normalizer":{"type":"Lowercase"},)")), Code::kUnsupported);
  EXPECT_EQ(code(UnigramJson(R"("pre_tokenizer":{"type":"BertPreTokenizer"},)")),
            Code::kUnsupported);
  EXPECT_EQ(code(UnigramJson("", R"(,"byte_fallback":true)")), Code::kUnsupported);
  EXPECT_EQ(code(R"({"model":{"type":"Unigram","vocab":[]}})"), Code::kCorrupt);
  EXPECT_EQ(code(R"({"model":{"type":"Unigram","unk_id":1,"vocab":[["a",0]]}})"), Code::kCorrupt);
  EXPECT_EQ(code(R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["a"]]}})"), Code::kCorrupt);
}

TEST(Vocabulary, OtherKindsAreRefused) {
  TokenizerFiles files{.tokenizer = Json(R"({"model":{"type":"WordLevel","vocab":[]}})")};
  const auto made = MakeVocabulary(files, 8);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kUnsupported);
  EXPECT_NE(made.error().message.find("WordLevel"), std::string::npos);
}

TEST(PreTokenizer, KnowsLlamaAndQwenApart) {
  const auto with = [](const std::string& digits) {
    boost::json::object split = {
        {"type", "Split"},
        {"pattern",
         {{"Regex", R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" + digits +
                        R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}}};
    boost::json::object bytes = {{"type", "ByteLevel"}, {"use_regex", false}};
    return boost::json::object{
        {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, bytes}}}}};
  };
  EXPECT_EQ(PreTokenizerOf(with(R"(\p{N}{1,3})")), "llama-bpe");
  EXPECT_EQ(PreTokenizerOf(with(R"(\p{N})")), "qwen2");
  const auto unknown = PreTokenizerOf(with(R"(\p{N}{1,2})"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace penstock::convert
