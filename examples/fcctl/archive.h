// The file of fcctl export: a header line, then one record a line.
//   {"fastcontainer_export":1,"revision":118,"records":2}
//   {"key":"/fc/v1/h/h1","value":{...}}
//   {"key":"/fc/v1/s/3f/site-42","value":{...}}
#ifndef FASTCONTAINER_EXAMPLES_FCCTL_ARCHIVE_H_
#define FASTCONTAINER_EXAMPLES_FCCTL_ARCHIVE_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "examples/fcctl/session.h"

// Below it is all that the library keeps (docs/protocol.md, "Records").
inline constexpr const char* kRoot = "/fc/v1/";
inline constexpr const char* kRestoredKey = "/fc/v1/restored";
// "Kind" of the record at kRestoredKey, which has no name.
inline constexpr uint32_t kRestoredKind = UINT32_MAX;

// Belongs to a process that lives: a heartbeat, a suspicion. It is never copied.
bool IsLeased(const std::string& key);
// False: the key is none that this version knows.
bool ParseKey(const std::string& key, uint32_t* kind, std::string* name);

// Records by their keys.
using Records = std::map<std::string, nlohmann::json>;

// Nothing is left at `path` ("-": standard output) unless all of it was written.
bool WriteArchive(const std::string& path, const Records& records, uint64_t revision, std::string* error);
// Reads and checks all of it. Errors begin with "FILE:LINE: " and say what is accepted.
bool ReadArchive(const std::string& path, Records* records, std::string* error);

#endif  // FASTCONTAINER_EXAMPLES_FCCTL_ARCHIVE_H_
