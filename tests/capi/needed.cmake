# What a program loads with the library is a recorded list: link weight is a feature.
execute_process(COMMAND "${OBJDUMP}" -p "${LIBRARY}" OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "NEEDED +[^\n]+" found "${listing}")
list(TRANSFORM found REPLACE "NEEDED +" "")
# Which of its parts Abseil has, and which release, is the system's business.
list(TRANSFORM found REPLACE "^(libabsl)_.*" "\\1")
# The compiler decides whether it calls libm or inlines it.
list(REMOVE_ITEM found libm.so.6)
list(REMOVE_DUPLICATES found)
list(SORT found)
string(REPLACE ";" "\n" found "${found}\n")
file(READ "${EXPECTED}" expected)
if(NOT found STREQUAL expected)
  message(FATAL_ERROR "${LIBRARY} needs:\n${found}\nand not, as recorded in ${EXPECTED}:\n${expected}")
endif()
