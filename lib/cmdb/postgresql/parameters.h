// Parameters and results of prepared statements in PostgreSQL's binary formats.
#ifndef FASTCONTAINER_LIB_CMDB_POSTGRESQL_PARAMETERS_H_
#define FASTCONTAINER_LIB_CMDB_POSTGRESQL_PARAMETERS_H_

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fastcontainer::postgresql {

// The values of $1, $2, ... in order.
class Parameters {
 public:
  Parameters& Bytes(std::string_view value);  // bytea
  Parameters& Number(uint64_t value);         // bigint; what is greater than it can hold is its greatest
  // bytea[], where nullopt is NULL; the views need not live on.
  Parameters& BytesArray(const std::vector<std::optional<std::string_view>>& values);
  Parameters& NumberArray(const std::vector<uint64_t>& values);  // bigint[]

  const std::vector<std::string>& values() const { return values_; }

 private:
  std::vector<std::string> values_;
};

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

// A result in binary format; a column that is not of the asked size reads as 0.
class Rows {
 public:
  explicit Rows(const PGresult* result) : result_(result) {}
  int size() const { return PQntuples(result_); }
  bool IsNull(int row, int column) const { return PQgetisnull(result_, row, column) != 0; }
  int64_t Number(int row, int column) const;
  std::string Bytes(int row, int column) const;

 private:
  const PGresult* result_;
};

}  // namespace fastcontainer::postgresql

#endif  // FASTCONTAINER_LIB_CMDB_POSTGRESQL_PARAMETERS_H_
