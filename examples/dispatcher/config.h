// The configuration of fc-dispatcher: one JSON file, and flags that win over it.
#ifndef FASTCONTAINER_EXAMPLES_DISPATCHER_CONFIG_H_
#define FASTCONTAINER_EXAMPLES_DISPATCHER_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

struct Config {
  std::string host;
  std::string cmdb;
  std::string address;
  uint32_t port = 0;
  std::string bind;
  std::string cluster_key_file;
  std::string state;
  std::string container_logs;
  std::string runtime;
  uint32_t max_starts = 0;
  uint32_t max_containers = 0;
  uint32_t port_first = 0;
  uint32_t port_last = 0;
  double cpu = 0;
  uint64_t memory = 0;
  std::string labels;  // JSON
  std::vector<std::string> witnesses;
  uint32_t drain_grace_s = 30;
  bool drain_on_term = false;
  int32_t log_level = 1;  // FC_LOG_INFO
};

// False, and *error names the field, if something is wrong.
bool ReadConfig(const std::string& path, Config* config, std::string* error);
// What must be there, whether it came from the file or from flags.
bool CheckConfig(const Config& config, std::string* error);
bool ParseLogLevel(const std::string& name, int32_t* level);

#endif  // FASTCONTAINER_EXAMPLES_DISPATCHER_CONFIG_H_
