#include "control/external_model.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/test_folder.h"
#include "control/json_reader.h"
#include "control/secret_files.h"

namespace penstock::control {
namespace {

Result<ExternalModel> Check(const std::string& text) {
  return CheckExternalModel(*ParseJsonObject(text), "external_model");
}

ExternalModel Good(const std::string& text) {
  auto model = Check(text);
  EXPECT_TRUE(model) << text << ": " << model.error().message;
  return model ? *model : ExternalModel{};
}

// The field that is refused; no message holds "sk-secret".
std::string Refused(const std::string& text) {
  const auto model = Check(text);
  EXPECT_FALSE(model) << text;
  if (model) return {};
  EXPECT_EQ(model.error().message.find("sk-secret"), std::string::npos) << model.error().message;
  return model.error().field;
}

std::string OpenAi(const std::string& config) {
  return R"({"name":"gpt-4o","provider":"openai","task":"llm/v1/chat","openai_config":)" + config +
         "}";
}
std::string Custom(const std::string& config) {
  return R"({"name":"m","provider":"custom","task":"llm/v1/chat","custom_provider_config":)" +
         config + "}";
}

TEST(ExternalModel, ReadsOpenAi) {
  const auto model = Good(OpenAi(
      R"({"openai_api_key_plaintext":"sk-secret","openai_organization":"org","odd":"sk-secret"})"));
  EXPECT_EQ(model.call.url, "https://api.openai.com/v1");
  EXPECT_EQ(model.call.name, "gpt-4o");
  EXPECT_EQ(model.call.organization, "org");
  EXPECT_EQ(model.call.key_header, "");
  EXPECT_EQ(model.api_key, "sk-secret");
  EXPECT_EQ(boost::json::serialize(model.json), OpenAi(R"({"openai_organization":"org"})"));
}

TEST(ExternalModel, ReadsAzure) {
  const auto model = Good(OpenAi(R"({"openai_api_type":"azure","openai_api_version":"2024-10-21",
      "openai_api_base":"https://me.openai.azure.com/","openai_deployment_name":"my deployment",
      "openai_api_key":"{{secrets/azure/key-1}}"})"));
  EXPECT_EQ(
      model.call.url,
      "https://me.openai.azure.com/openai/deployments/my%20deployment?api-version=2024-10-21");
  EXPECT_EQ(model.call.key_header, "api-key");
  EXPECT_EQ(model.key_reference, "azure/key-1");
  EXPECT_EQ(model.json.at("openai_config").at("openai_api_key"), "{{secrets/azure/key-1}}");
}

TEST(ExternalModel, ReadsCustomProviders) {
  EXPECT_EQ(Good(Custom(R"({"custom_provider_url":"http://h:1/v1"})")).api_key, "");
  const auto bearer = Good(Custom(
      R"({"custom_provider_url":"http://h:1/v1","bearer_token_auth":{"token_plaintext":"sk-secret"}})"));
  EXPECT_EQ(bearer.api_key, "sk-secret");
  EXPECT_EQ(bearer.call.key_header, "");
  const auto header = Good(Custom(R"({"custom_provider_url":"http://h:1/v1",
      "api_key_auth":{"key":"X-Api-Key","value_plaintext":"sk-secret"}})"));
  EXPECT_EQ(header.call.key_header, "X-Api-Key");
  EXPECT_EQ(
      boost::json::serialize(header.json),
      Custom(R"({"custom_provider_url":"http://h:1/v1","api_key_auth":{"key":"X-Api-Key"}})"));
}

// What is shown reads as the same model again, but for the key: the store relies on it.
TEST(ExternalModel, ReadsWhatItShows) {
  for (const std::string& text : {OpenAi(R"({"openai_api_key_plaintext":"sk-secret"})"),
                                  OpenAi(R"({"openai_api_key":"{{secrets/a/b}}"})"),
                                  Custom(R"({"custom_provider_url":"http://h:1/v1","api_key_auth":
               {"key":"X-Key","value":"{{secrets/a/b}}","more":"sk-secret"}})")}) {
    const auto once = Good(text);
    const std::string shown = boost::json::serialize(once.json);
    EXPECT_EQ(shown.find("sk-secret"), std::string::npos) << shown;
    const auto twice = Good(shown);
    EXPECT_EQ(boost::json::serialize(twice.json), shown);
    EXPECT_EQ(twice.call.url, once.call.url);
    EXPECT_EQ(twice.call.key_header, once.call.key_header);
    EXPECT_EQ(twice.key_reference, once.key_reference);
  }
}

TEST(ExternalModel, RefusesWhatItCannotCall) {
  EXPECT_EQ(Refused("{}"), "external_model.name");
  EXPECT_EQ(Refused(R"({"name":"a","provider":"x","task":"llm/v1/chat"})"),
            "external_model.provider");
  EXPECT_EQ(Refused(R"({"name":"a","provider":"openai","task":"chat"})"), "external_model.task");
  EXPECT_EQ(Refused(R"({"name":"a\nb","provider":"openai","task":"llm/v1/chat"})"),
            "external_model.name");
  EXPECT_EQ(Refused(Custom("{}")), "external_model.custom_provider_config.custom_provider_url");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_base":"nonsense"})")), "external_model.openai_config");
  const auto other = Check(R"({"name":"a","provider":"anthropic","task":"llm/v1/chat"})");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kUnsupported);
  EXPECT_EQ(other.error().message,
            "external_model.provider: anthropic has an API of its own; what speaks OpenAI's can be "
            "called: openai, databricks-model-serving and custom");
}

TEST(ExternalModel, RefusesBadConfigurationsWithoutQuotingKeys) {
  const std::string config = "external_model.openai_config.";
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_key":"sk-secret"})")), config + "openai_api_key");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_key":["sk-secret"]})")), config + "openai_api_key");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_key_plaintext":{"a":"sk-secret"}})")),
            config + "openai_api_key_plaintext");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_key_plaintext":"sk-secret\nb"})")),
            config + "openai_api_key_plaintext");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_key":"{{secrets/a/b}}",
                           "openai_api_key_plaintext":"sk-secret"})")),
            config + "openai_api_key_plaintext");
  for (const char* reference : {"{{secrets/a}}", "{{secrets/../b}}", "{{secrets/a/b/c}}",
                                "{{secrets/a/.b}}", "{{secrets//b}}", "{{secrets/a/b}"}) {
    EXPECT_EQ(Refused(OpenAi(R"({"openai_api_key":")" + std::string(reference) + R"("})")),
              config + "openai_api_key");
  }
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_type":"azuread"})")), config + "openai_api_type");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_type":"odd"})")), config + "openai_api_type");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_type":"azure"})")), config + "openai_api_base");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_type":"azure","openai_api_base":"https://a"})")),
            config + "openai_deployment_name");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_deployment_name":"d"})")),
            config + "openai_deployment_name");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_organization":"a\r\nhost: b"})")),
            config + "openai_organization");
  EXPECT_EQ(Refused(OpenAi(R"({"openai_api_base":"https://me:sk-secret@h/v1"})")),
            "external_model.openai_config");
  const std::string custom = "external_model.custom_provider_config.";
  for (const char* header : {"Content-Length", "host", "a b", "a:b", ""}) {
    EXPECT_EQ(Refused(Custom(R"({"custom_provider_url":"http://h/","api_key_auth":{"key":")" +
                             std::string(header) + R"(","value_plaintext":"sk-secret"}})")),
              custom + "api_key_auth.key");
  }
  EXPECT_EQ(Refused(Custom(R"({"custom_provider_url":"http://h/","api_key_auth":{"key":"a"},
                           "bearer_token_auth":{"token_plaintext":"sk-secret"}})")),
            custom + "api_key_auth");
}

TEST(SecretFiles, AreTheirOwnersAlone) {
  TestFolder folder;
  const SecretFiles secrets(folder.path());
  const std::string name = SecretFiles::NewName();
  ASSERT_TRUE(secrets.Write(name, "sk-secret"));
  struct stat file{};
  ASSERT_EQ(stat(secrets.PathOf(name).c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  EXPECT_TRUE(secrets.Holds(name, "sk-secret"));
  EXPECT_FALSE(secrets.Holds(name, "sk-other"));
  secrets.Forget(name);
  EXPECT_FALSE(secrets.Holds(name, "sk-secret"));
  EXPECT_EQ(SecretFiles("").Write(name, "sk-secret").error().code, Code::kUnsupported);
}

TEST(SecretFiles, ReferencesNameClosedFiles) {
  TestFolder folder;
  const SecretFiles secrets(folder.path());
  EXPECT_NE(secrets.CheckReference("a/b", "f").error().message.find("secrets/a/b"),
            std::string::npos);
  std::filesystem::create_directory(folder.File("a"));
  folder.Write("a/b", "sk-secret");
  ASSERT_EQ(chmod(folder.File("a/b").c_str(), 0640), 0);
  EXPECT_NE(secrets.CheckReference("a/b", "f").error().message.find("0640"), std::string::npos);
  ASSERT_EQ(chmod(folder.File("a/b").c_str(), 0600), 0);
  EXPECT_TRUE(secrets.CheckReference("a/b", "f"));
}

TEST(SecretFiles, SweepLeavesWhatIsUsedAndTheOperators) {
  TestFolder folder;
  const SecretFiles secrets(folder.path());
  const std::string used = SecretFiles::NewName();
  const std::string orphan = SecretFiles::NewName();
  for (const std::string& name : {used, orphan, orphan + ".new", std::string("notes.txt")}) {
    folder.Write(name, "x");
  }
  std::filesystem::create_directory(folder.File("scope"));
  folder.Write("scope/key", "x");
  secrets.Sweep({used});
  EXPECT_TRUE(std::filesystem::exists(folder.File(used)));
  EXPECT_FALSE(std::filesystem::exists(folder.File(orphan)));
  EXPECT_FALSE(std::filesystem::exists(folder.File(orphan + ".new")));
  EXPECT_TRUE(std::filesystem::exists(folder.File("notes.txt")));
  EXPECT_TRUE(std::filesystem::exists(folder.File("scope/key")));
}

}  // namespace
}  // namespace penstock::control
