// For tests: a tiny model's folder, and safetensors files made of given tensors.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"

namespace penstock::convert {

struct TestTensor {
  std::string type = "F32";
  std::vector<std::int64_t> shape{};
  std::string bytes{};
};

inline TestTensor RandomTensor(std::vector<std::int64_t> shape, Random& random) {
  TestTensor tensor{.shape = std::move(shape)};
  std::int64_t count = 1;
  for (const std::int64_t size : tensor.shape) count *= size;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(random.Uniform() - 0.5);
    tensor.bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return tensor;
}

inline std::string SafetensorsFile(const std::map<std::string, TestTensor>& tensors) {
  boost::json::object head;
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    boost::json::array shape;
    for (const std::int64_t size : tensor.shape) shape.push_back(size);
    head[name] = {{"dtype", tensor.type},
                  {"shape", shape},
                  {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  const std::string text = boost::json::serialize(head);
  const std::uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + text + data;
}

inline void WriteText(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// One layer of 8, two heads, four tokens.
struct TestModel {
  boost::json::object config = {{"architectures", boost::json::array{"LlamaForCausalLM"}},
                                {"model_type", "llama"},
                                {"hidden_size", 8},
                                {"intermediate_size", 16},
                                {"num_hidden_layers", 1},
                                {"num_attention_heads", 2},
                                {"num_key_value_heads", 1},
                                {"max_position_embeddings", 64},
                                {"vocab_size", 4},
                                {"rms_norm_eps", 1e-5}};
  boost::json::object tokenizer = {
      {"model",
       {{"type", "BPE"},
        {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
        {"merges", boost::json::array{"a b"}}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"use_regex", true}}},
      {"added_tokens",
       boost::json::array{boost::json::object{{"id", 3}, {"content", "</s>"}, {"special", true}}}}};
  std::map<std::string, TestTensor> tensors;

  TestModel() {
    Random random(1);
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
      tensors[name] = RandomTensor(std::move(shape), random);
    };
    const std::string layer = "model.layers.0.";
    add("model.embed_tokens.weight", {4, 8});
    add(layer + "input_layernorm.weight", {8});
    add(layer + "self_attn.q_proj.weight", {8, 8});
    add(layer + "self_attn.k_proj.weight", {4, 8});
    add(layer + "self_attn.v_proj.weight", {4, 8});
    add(layer + "self_attn.o_proj.weight", {8, 8});
    add(layer + "post_attention_layernorm.weight", {8});
    add(layer + "mlp.gate_proj.weight", {16, 8});
    add(layer + "mlp.up_proj.weight", {16, 8});
    add(layer + "mlp.down_proj.weight", {8, 16});
    add("model.norm.weight", {8});
    add("lm_head.weight", {4, 8});
  }

  void Write(const std::string& folder) const {
    WriteText(folder + "/config.json", boost::json::serialize(config));
    WriteText(folder + "/tokenizer.json", boost::json::serialize(tokenizer));
    WriteText(folder + "/tokenizer_config.json", R"({"eos_token":"</s>"})");
    WriteText(folder + "/model.safetensors", SafetensorsFile(tensors));
  }
};

}  // namespace penstock::convert
