#include "convert/ml_model.h"

#include <gtest/gtest.h>

namespace penstock::convert {
namespace {

std::string Flavor(const std::string& lines) {
  return "flavors:\n  python_function:\n    env: x\n  transformers:\n    task: text-generation\n" +
         lines;
}

void ExpectUnservable(const std::string& text, const std::string& words) {
  const auto model = ParseMlModel(text);
  ASSERT_TRUE(model) << model.error().message;
  const Status servable = CheckServable(*model);
  ASSERT_FALSE(servable);
  EXPECT_EQ(servable.error().code, Code::kUnsupported);
  EXPECT_NE(servable.error().message.find(words), std::string::npos) << servable.error().message;
}

TEST(MlModel, TaskComesFromTheFlavorOrTheMetadata) {
  const auto newer = ParseMlModel(Flavor("    inference_task: llm/v1/chat\n") +
                                  "metadata: {task: llm/v1/completions}\n");
  ASSERT_TRUE(newer);
  EXPECT_EQ(TaskOf(*newer), "llm/v1/chat");
  const auto older = ParseMlModel(Flavor("") + "metadata: {task: llm/v1/embeddings}\n");
  EXPECT_EQ(TaskOf(*older), "llm/v1/embeddings");
  EXPECT_TRUE(CheckServable(*older));
}

TEST(MlModel, ReadsWhatTheFlavorSays) {
  const auto model = ParseMlModel(
      Flavor("    model_binary: model\n    source_model_name: a/b\n    source_model_revision: abc\n"
             "    components:\n    - tokenizer\n    pipeline_model_type: LlamaForCausalLM\n") +
      "run_id: r1\nmlflow_version: 2.14.0\nmetadata:\n  model_type: gte-large\n  n: [1]\n");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->model_binary, "model");
  EXPECT_EQ(model->source_model_name, "a/b");
  EXPECT_EQ(model->source_model_revision, "abc");
  EXPECT_EQ(model->components, std::vector<std::string>{"tokenizer"});
  EXPECT_EQ(model->metadata.at("model_type"), "gte-large");
  EXPECT_FALSE(model->metadata.contains("n"));
  EXPECT_EQ(model->run_id, "r1");
}

TEST(MlModel, SaysWhyItCannotBeServed) {
  ExpectUnservable("flavors: {sklearn: {}, python_function: {}}\n", "python_function, sklearn");
  ExpectUnservable(Flavor(""), "without a task");
  ExpectUnservable(Flavor("    inference_task: llm/v2/dream\n"), "llm/v2/dream");
  ExpectUnservable(Flavor("    inference_task: llm/v1/chat\n    peft_adaptor: peft\n"), "adaptor");
}

TEST(MlModel, RefusesWhatMlflowNeverWrote) {
  for (const std::string text : {"", "[]", "a: b", "flavors: 3", "a: [", "\t:\n\t- x: {"}) {
    const auto model = ParseMlModel(text);
    ASSERT_FALSE(model) << text;
    EXPECT_EQ(model.error().code, Code::kCorrupt);
  }
  EXPECT_EQ(ParseMlModel(std::string(100'000, '[')).error().code, Code::kCorrupt);
  EXPECT_EQ(ParseMlModel(std::string(kMlModelSizeMax + 1, ' ')).error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace penstock::convert
