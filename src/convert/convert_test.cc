#include "convert/convert.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "convert/test_model.h"

namespace penstock::convert {
namespace {

class ConvertTest : public testing::Test {
 protected:
  Result<ConvertReport> Convert(const TestModel& model, const ConvertOptions& options = {}) {
    model.Write(folder_.File("m"));
    const auto opened = OpenModelFolder(folder_.File("m"), {});
    if (!opened) return Fail(opened.error());
    return ConvertFolder(*opened, output_, options);
  }
  void ExpectRefused(const TestModel& model, Code code, const std::string& words) {
    const auto made = Convert(model);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, code) << made.error().message;
    EXPECT_NE(made.error().message.find(words), std::string::npos) << made.error().message;
    EXPECT_FALSE(std::filesystem::exists(output_));
  }

  TestFolder folder_;
  std::string output_ = folder_.File("m.gguf");
};

TEST_F(ConvertTest, WritesTheWholeFile) {
  const auto made = Convert({}, {.type = OutputType::kF32});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->architecture, "llama");
  EXPECT_EQ(made->tensors, 12U);
  EXPECT_EQ(made->bytes, std::filesystem::file_size(output_));
  EXPECT_EQ(made->context_length, 64U);
}

TEST_F(ConvertTest, EqualInputGivesEqualBytes) {
  ASSERT_TRUE(Convert({}));
  const auto read = [this] {
    std::ifstream file(output_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string first = read();
  ASSERT_TRUE(Convert({}));
  EXPECT_EQ(read(), first);
}

TEST_F(ConvertTest, StopsWhenToldTo) {
  int asked = 0;
  const auto made = Convert({}, {.on_progress = [&asked](std::uint64_t done, std::uint64_t all) {
                              EXPECT_LE(done, all);
                              return ++asked < 3;
                            }});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kCancelled);
  EXPECT_EQ(asked, 3);
  // Nothing half done is left behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.File("")), {}), 1);
}

TEST_F(ConvertTest, MissingTensorIsNamed) {
  TestModel model;
  model.tensors.erase("model.layers.0.mlp.up_proj.weight");
  ExpectRefused(model, Code::kCorrupt, "model.layers.0.mlp.up_proj.weight");
}

TEST_F(ConvertTest, UnknownTensorIsNamed) {
  TestModel model;
  Random random(2);
  model.tensors["model.layers.0.self_attn.q_norm.weight"] = RandomTensor({4}, random);
  ExpectRefused(model, Code::kUnsupported, "q_norm");
}

TEST_F(ConvertTest, WrongShapeIsShown) {
  TestModel model;
  model.config["intermediate_size"] = 32;
  ExpectRefused(model, Code::kCorrupt, "[16, 8], config.json needs [32, 8]");
}

TEST_F(ConvertTest, WholeNumbersAreNoWeights) {
  TestModel model;
  auto& tensor = model.tensors["model.norm.weight"];
  tensor.type = "I32";
  ExpectRefused(model, Code::kUnsupported, "I32");
}

TEST_F(ConvertTest, TiedEmbeddingsNeedNoHead) {
  TestModel model;
  model.config["tie_word_embeddings"] = true;
  model.tensors.erase("lm_head.weight");
  const auto made = Convert(model);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->tensors, 11U);
}

TEST_F(ConvertTest, CutFileIsRefused) {
  TestModel().Write(folder_.File("m"));
  const std::string weights = folder_.File("m/model.safetensors");
  std::filesystem::resize_file(weights, std::filesystem::file_size(weights) - 1);
  const auto opened = OpenModelFolder(folder_.File("m"), {});
  ASSERT_TRUE(opened);
  const auto made = ConvertFolder(*opened, output_, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kCorrupt);
  EXPECT_NE(made.error().message.find(weights), std::string::npos);
}

TEST_F(ConvertTest, IndexNamesItsFiles) {
  TestModel model;
  model.Write(folder_.File("m"));
  std::map<std::string, TestTensor> first;
  std::map<std::string, TestTensor> second;
  boost::json::object map;
  for (const auto& [name, tensor] : model.tensors) {
    const bool early = first.size() < 6;
    (early ? first : second)[name] = tensor;
    map[name] = early ? "a.safetensors" : "b.safetensors";
  }
  WriteText(folder_.File("m/a.safetensors"), SafetensorsFile(first));
  WriteText(folder_.File("m/b.safetensors"), SafetensorsFile(second));
  std::filesystem::remove(folder_.File("m/model.safetensors"));
  const std::string index = folder_.File("m/model.safetensors.index.json");
  WriteText(index, boost::json::serialize(boost::json::object{{"weight_map", map}}));
  const auto opened = OpenModelFolder(folder_.File("m"), {});
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->weight_files.size(), 2U);
  const auto made = ConvertFolder(*opened, output_, {});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->tensors, 12U);

  WriteText(index, R"({"weight_map":{"x":"../../etc/passwd"}})");
  EXPECT_EQ(OpenModelFolder(folder_.File("m"), {}).error().code, Code::kCorrupt);
  WriteText(index, R"({"weight_map":{"x":"gone.safetensors"}})");
  EXPECT_EQ(OpenModelFolder(folder_.File("m"), {}).error().code, Code::kNotFound);
}

TEST_F(ConvertTest, PickledWeightsAreRefused) {
  TestModel().Write(folder_.File("m"));
  std::filesystem::rename(folder_.File("m/model.safetensors"), folder_.File("m/pytorch_model.bin"));
  const auto opened = OpenModelFolder(folder_.File("m"), {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kUnsupported);
  EXPECT_NE(opened.error().message.find("safetensors"), std::string::npos);
}

constexpr const char* kLogged = R"(
artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.transformers
  transformers:
    components: [tokenizer]
    framework: pt
    inference_task: llm/v1/chat
    model_binary: model
    pipeline_model_type: LlamaForCausalLM
    source_model_name: meta-llama/Llama-3.1-8B
    task: text-generation
metadata:
  task: llm/v1/chat
  model_type: llama
mlflow_version: 2.12.1
)";

TEST_F(ConvertTest, MlflowFolder) {
  const TestModel model;
  model.Write(folder_.File("m/model"));
  WriteText(folder_.File("m/MLmodel"), kLogged);
  WriteText(folder_.File("m/components/tokenizer/tokenizer.json"),
            boost::json::serialize(model.tokenizer));
  std::filesystem::remove(folder_.File("m/model/tokenizer.json"));
  const auto opened = OpenModelFolder(folder_.File("m"), {});
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->task, "llm/v1/chat");
  EXPECT_EQ(opened->model_type, "llama");
  EXPECT_EQ(opened->name, "meta-llama/Llama-3.1-8B");
  EXPECT_TRUE(ConvertFolder(*opened, output_, {}));
}

// save_pretrained=False: the weights are elsewhere, if anywhere.
TEST_F(ConvertTest, WeightsThatWereNotSavedComeFromTheMirror) {
  std::string text = kLogged;
  text.erase(text.find("    model_binary: model\n"), 24);
  WriteText(folder_.File("m/MLmodel"), text);
  const auto none = OpenModelFolder(folder_.File("m"), {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kUnsupported);
  EXPECT_NE(none.error().message.find("save_pretrained=False"), std::string::npos);
  EXPECT_NE(none.error().message.find("meta-llama/Llama-3.1-8B"), std::string::npos);

  const Mirror mirror{.folder = folder_.File("mirror")};
  EXPECT_FALSE(OpenModelFolder(folder_.File("m"), mirror));
  TestModel().Write(folder_.File("mirror/meta-llama/Llama-3.1-8B"));
  const auto found = OpenModelFolder(folder_.File("m"), mirror);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_TRUE(ConvertFolder(*found, output_, {}));
}

TEST_F(ConvertTest, OldFoldersCallItPipeline) {
  std::string text = kLogged;
  text.erase(text.find("    model_binary: model\n"), 24);
  WriteText(folder_.File("m/MLmodel"), text);
  TestModel().Write(folder_.File("m/pipeline"));
  EXPECT_TRUE(OpenModelFolder(folder_.File("m"), {}));
}

}  // namespace
}  // namespace penstock::convert
