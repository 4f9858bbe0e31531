# keel-doctor, installed beside the library that it looks at; linked to neither libkeel nor libtorch.

add_executable(keel_doctor tools/doctor/doctor.c tools/doctor/report.c tools/doctor/machine.c tools/doctor/library.c
  tools/doctor/cuda.c)
set_target_properties(keel_doctor PROPERTIES OUTPUT_NAME keel-doctor C_STANDARD 99)
target_include_directories(keel_doctor PRIVATE include)
target_compile_definitions(keel_doctor PRIVATE _GNU_SOURCE KEEL_DOCTOR_LIBRARIES="${CMAKE_INSTALL_LIBDIR}"
  KEEL_DOCTOR_LIBRARY="${KEEL_SONAME}")
target_compile_options(keel_doctor PRIVATE -Wall -Wextra)
target_link_libraries(keel_doctor PRIVATE ${CMAKE_DL_LIBS})
install(TARGETS keel_doctor DESTINATION "${CMAKE_INSTALL_BINDIR}")
