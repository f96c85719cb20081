#include "examples/dispatcher/config.h"

#include <array>

#include "examples/common/strict_json.h"

namespace {

using examples::Fields;
using nlohmann::json;

constexpr std::array<const char*, 4> kLevels = {"debug", "info", "warning", "error"};
constexpr const char* kLevelNames = "must be debug, info, warning or error";

void ReadLabels(Fields& fields, Config* config) {
  const json* labels = fields.Object("labels");
  if (labels == nullptr) return;
  for (const auto& [name, value] : labels->items()) {
    if (!value.is_string()) fields.Fail("labels." + name, "must be a string");
  }
  config->labels = labels->dump();
}

void ReadWitnesses(Fields& fields, Config* config) {
  const json* witnesses = fields.Array("witnesses");
  if (witnesses == nullptr) return;
  for (const json& witness : *witnesses) {
    if (!witness.is_string()) return fields.Fail("witnesses", "must be an array of numeric addresses");
    config->witnesses.push_back(witness.get<std::string>());
  }
}

}  // namespace

bool ParseLogLevel(const std::string& name, int32_t* level) {
  for (size_t i = 0; i < kLevels.size(); ++i) {
    if (name == kLevels[i]) {
      *level = static_cast<int32_t>(i);
      return true;
    }
  }
  return false;
}

bool ReadConfig(const std::string& path, Config* config, std::string* error) {
  auto file = examples::ReadStrict(path, error);
  if (!file) return false;
  Fields fields(*file, "", error);
  fields.Read("host", &config->host);
  fields.Read("cmdb", &config->cmdb);
  fields.Read("address", &config->address);
  fields.Read("port", &config->port, 1, 65535);
  fields.Read("bind", &config->bind);
  fields.Read("cluster_key_file", &config->cluster_key_file);
  fields.Read("state_directory", &config->state);
  fields.Read("log_directory", &config->container_logs);
  fields.Read("runtime", &config->runtime);
  fields.Read("max_starts", &config->max_starts, 1, 10000);
  fields.Read("max_containers", &config->max_containers, 1, 1000000);
  fields.Read("cpu", &config->cpu, 0.0);
  fields.Read("memory", &config->memory, 1, UINT64_MAX);
  fields.Read("drain_grace_s", &config->drain_grace_s, 0, 86400);
  fields.Read("drain_on_term", &config->drain_on_term);
  ReadLabels(fields, config);
  ReadWitnesses(fields, config);
  if (const json* ports = fields.Object("container_ports")) {
    Fields range(*ports, "container_ports", error);
    range.Read("first", &config->port_first, 1, 65535);
    range.Read("last", &config->port_last, 1, 65535);
    range.Finish();
    if (config->port_first > config->port_last)
      fields.Fail("container_ports", "first must not be after last");
  }
  if (const json* log = fields.Object("log")) {
    Fields sink(*log, "log", error);
    std::string level;
    sink.Read("level", &level);
    if (!level.empty() && !ParseLogLevel(level, &config->log_level)) sink.Fail("level", kLevelNames);
    sink.Finish();
  }
  if (fields.Finish()) return true;
  *error = path + ": " + *error;
  return false;
}

bool CheckConfig(const Config& config, std::string* error) {
  if (config.host.empty()) *error = "host: is required (this host's name in the CMDB)";
  if (config.cmdb.empty())
    *error = "cmdb: is required, for example \"sqlite:/var/lib/fastcontainer/cmdb.db\"";
  if (config.state.empty()) *error = "state_directory: is required (a folder that survives restarts)";
  return error->empty();
}
