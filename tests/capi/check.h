/* A test in C: each failure says where and ends the program. */
#ifndef FASTCONTAINER_TESTS_CAPI_CHECK_H_
#define FASTCONTAINER_TESTS_CAPI_CHECK_H_

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

#define CHECK_INT(expected, actual)                                                               \
  do {                                                                                            \
    const long long check_expected = (long long)(expected);                                       \
    const long long check_actual = (long long)(actual);                                           \
    if (check_expected != check_actual) {                                                         \
      fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #actual, check_actual, \
              check_expected);                                                                    \
      exit(1);                                                                                    \
    }                                                                                             \
  } while (0)

/* Runs a test and says so: a behaviour's sentence is its function's name. */
#define RUN(test)          \
  do {                     \
    printf("%s\n", #test); \
    fflush(stdout);        \
    test();                \
  } while (0)

#endif /* FASTCONTAINER_TESTS_CAPI_CHECK_H_ */
