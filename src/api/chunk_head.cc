#include "api/chunk_head.h"

#include <simdjson.h>

namespace penstock {

ChunkHead ReadChunkHead(std::string_view data) {
  using simdjson::SUCCESS;
  ChunkHead head;
  const simdjson::padded_string padded(data);
  simdjson::ondemand::parser parser;
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  if (parser.iterate(padded).get(document) != SUCCESS) return head;
  if (document.get_object().get(object) != SUCCESS) return head;
  for (auto field : object) {
    std::string_view key;
    simdjson::ondemand::value value;
    if (field.unescaped_key().get(key) != SUCCESS || field.value().get(value) != SUCCESS) break;
    std::string_view text;
    if (key == "id" && value.get_string().get(text) == SUCCESS) {
      head.id = text;
    } else if (key == "model" && value.get_string().get(text) == SUCCESS) {
      head.model = text;
    } else if (key == "created") {
      std::int64_t created_s = 0;
      if (value.get_int64().get(created_s) == SUCCESS) head.created_s = created_s;
    }
  }
  return head;
}

}  // namespace penstock
