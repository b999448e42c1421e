#include "engine/llama/synth.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/llama/model.h"

namespace penstock::engine {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string PathOf(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / "synth_test";
  fs::create_directories(folder);
  return (folder / name).string();
}

TEST(Synth, TheSameSpecGivesTheSameBytes) {
  const SynthSpec spec = SynthPreset("toy").value();
  SynthSpec other = spec;
  other.seed = 2;
  ASSERT_TRUE(SynthesizeModel(spec, PathOf("a")));
  ASSERT_TRUE(SynthesizeModel(spec, PathOf("b")));
  ASSERT_TRUE(SynthesizeModel(other, PathOf("c")));
  EXPECT_EQ(ReadAll(PathOf("a")), ReadAll(PathOf("b")));
  EXPECT_NE(ReadAll(PathOf("a")), ReadAll(PathOf("c")));
}

TEST(Synth, EveryQuantizationAndArchitectureLoads) {
  for (const char* name : {"f32", "f16", "q8_0", "q4_0"}) {
    for (const char* architecture : {"llama", "bert"}) {
      for (const bool tied : {false, true}) {
        SynthSpec spec = SynthPreset("toy").value();
        spec.architecture = architecture;
        spec.quantization = QuantizationFromName(name).value();
        spec.tied = tied;
        if (spec.architecture == "bert") {
          spec.heads_kv = spec.heads;
          spec.context_length = 512;
          spec.vocabulary = "bert-bge";
        }
        const std::string path = PathOf("model.gguf");
        const auto report = SynthesizeModel(spec, path);
        ASSERT_TRUE(report.has_value()) << report.error().message;
        EXPECT_EQ(report->bytes, fs::file_size(path));
        const auto model = Model::Load(path);
        ASSERT_TRUE(model.has_value()) << name << ' ' << architecture << model.error().message;
        EXPECT_EQ((*model)->info().parameters, report->parameters);
        EXPECT_EQ((*model)->info().task == ModelTask::kEmbed, spec.architecture == "bert");
      }
    }
  }
}

TEST(Synth, ARealVocabularyTokenizesTruly) {
  SynthSpec spec = SynthPreset("toy").value();
  for (const char* vocabulary : {"llama-spm", "llama-bpe", "qwen2", "gpt-2", "phi-3"}) {
    spec.vocabulary = vocabulary;
    const std::string path = PathOf("vocabulary.gguf");
    ASSERT_TRUE(SynthesizeModel(spec, path));
    const auto model = Model::Load(path);
    ASSERT_TRUE(model.has_value()) << vocabulary << ": " << model.error().message;
    const Tokenizer& tokenizer = (*model)->tokenizer();
    const std::string text = "The gate opens; 42 litres \xC3\xA9t\xC3\xA9 \xF0\x9F\x98\x80 flow.";
    const auto tokens = tokenizer.Tokenize(text, {.add_special = false});
    ASSERT_TRUE(tokens.has_value());
    EXPECT_LT(tokens->size(), text.size()) << vocabulary;
    std::string pieces;
    for (const TokenId token : *tokens) pieces += tokenizer.Piece(token);
    EXPECT_TRUE(pieces.ends_with(text)) << vocabulary << ": " << pieces;
    EXPECT_EQ(
        tokenizer.Detokenize(*tokens).value().find("\xF0\x9F\x98\x80 flow.") == std::string::npos,
        false);
    EXPECT_FALSE(tokenizer.end_of_generation_tokens().empty()) << vocabulary;
  }
}

TEST(Synth, RefusesWhatNoModelCanBe) {
  const auto refused = [](auto change) {
    SynthSpec spec = SynthPreset("toy").value();
    change(spec);
    const auto report = SynthesizeModel(spec, PathOf("never.gguf"));
    return report ? std::string("accepted") : report.error().field;
  };
  EXPECT_EQ(refused([](SynthSpec& s) { s.architecture = "gpt"; }), "architecture");
  EXPECT_EQ(refused([](SynthSpec& s) { s.embedding_length = 70; }), "embedding_length");
  EXPECT_EQ(refused([](SynthSpec& s) { s.heads_kv = 3; }), "heads");
  EXPECT_EQ(refused([](SynthSpec& s) { s.layers = 0; }), "layers");
  EXPECT_EQ(refused([](SynthSpec& s) { s.vocabulary = "klingon"; }), "vocabulary");
  EXPECT_EQ(refused([](SynthSpec& s) { s.vocabulary = "../x"; }), "vocabulary");
  EXPECT_FALSE(fs::exists(PathOf("never.gguf")));
  EXPECT_FALSE(SynthPreset("7t").has_value());
  const auto nowhere = SynthesizeModel(SynthPreset("toy").value(), "/nonexistent/folder/m.gguf");
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_EQ(nowhere.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace penstock::engine
