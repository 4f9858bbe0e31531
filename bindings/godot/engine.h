/* What the extension uses of Godot, found by name when it is loaded; nothing else here calls the engine. */
#ifndef KEEL_GODOT_ENGINE_H
#define KEEL_GODOT_ENGINE_H

#include "gdextension_interface.h"

enum { NODE_NOTIFICATION_INTERNAL_PHYSICS_PROCESS = 26 };

/* Short names of the types of the methods. */
typedef GDExtensionVariantType Type;
#define NOTHING GDEXTENSION_VARIANT_TYPE_NIL
#define INT GDEXTENSION_VARIANT_TYPE_INT
#define STRING GDEXTENSION_VARIANT_TYPE_STRING
#define DICTIONARY GDEXTENSION_VARIANT_TYPE_DICTIONARY
#define BYTES GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY
#define INTS GDEXTENSION_VARIANT_TYPE_PACKED_INT32_ARRAY
#define FLOATS GDEXTENSION_VARIANT_TYPE_PACKED_FLOAT32_ARRAY

/* A value of one of these types, as the engine lays it out where it is built for 64 bits. */
typedef union {
  int64_t number;
  uint64_t opaque[2];
} Value;
typedef struct {
  uint64_t opaque[3];
} Variant;
typedef struct {
  uint64_t opaque;
} Name;

/* Each is taken from the engine by its own name. */
#define ENGINE_FUNCTIONS(X)                                                                           \
  X(GDExtensionInterfacePrintErrorWithMessage, print_error_with_message)                              \
  X(GDExtensionInterfaceStringNameNewWithUtf8Chars, string_name_new_with_utf8_chars)                  \
  X(GDExtensionInterfaceStringNewWithUtf8CharsAndLen2, string_new_with_utf8_chars_and_len2)           \
  X(GDExtensionInterfaceStringToUtf8Chars, string_to_utf8_chars)                                      \
  X(GDExtensionInterfaceVariantDestroy, variant_destroy)                                              \
  X(GDExtensionInterfaceVariantGetType, variant_get_type)                                             \
  X(GDExtensionInterfaceVariantCanConvertStrict, variant_can_convert_strict)                          \
  X(GDExtensionInterfaceGetVariantFromTypeConstructor, get_variant_from_type_constructor)             \
  X(GDExtensionInterfaceGetVariantToTypeConstructor, get_variant_to_type_constructor)                 \
  X(GDExtensionInterfaceVariantGetPtrConstructor, variant_get_ptr_constructor)                        \
  X(GDExtensionInterfaceVariantGetPtrDestructor, variant_get_ptr_destructor)                          \
  X(GDExtensionInterfaceVariantGetPtrBuiltinMethod, variant_get_ptr_builtin_method)                   \
  X(GDExtensionInterfacePackedByteArrayOperatorIndex, packed_byte_array_operator_index)               \
  X(GDExtensionInterfacePackedInt32ArrayOperatorIndex, packed_int32_array_operator_index)             \
  X(GDExtensionInterfacePackedFloat32ArrayOperatorIndex, packed_float32_array_operator_index)         \
  X(GDExtensionInterfacePackedByteArrayOperatorIndexConst, packed_byte_array_operator_index_const)    \
  X(GDExtensionInterfacePackedInt32ArrayOperatorIndexConst, packed_int32_array_operator_index_const)  \
  X(GDExtensionInterfacePackedFloat32ArrayOperatorIndexConst, packed_float32_array_operator_index_const) \
  X(GDExtensionInterfaceGlobalGetSingleton, global_get_singleton)                                     \
  X(GDExtensionInterfaceObjectMethodBindCall, object_method_bind_call)                                \
  X(GDExtensionInterfaceObjectMethodBindPtrcall, object_method_bind_ptrcall)                          \
  X(GDExtensionInterfaceObjectSetInstance, object_set_instance)                                       \
  X(GDExtensionInterfaceClassdbConstructObject2, classdb_construct_object2)                           \
  X(GDExtensionInterfaceClassdbGetMethodBind, classdb_get_method_bind)                                \
  X(GDExtensionInterfaceClassdbRegisterExtensionClass4, classdb_register_extension_class4)            \
  X(GDExtensionInterfaceClassdbRegisterExtensionClassMethod, classdb_register_extension_class_method) \
  X(GDExtensionInterfaceClassdbRegisterExtensionClassProperty, classdb_register_extension_class_property) \
  X(GDExtensionInterfaceClassdbRegisterExtensionClassSignal, classdb_register_extension_class_signal) \
  X(GDExtensionInterfaceClassdbRegisterExtensionClassIntegerConstant,                                 \
    classdb_register_extension_class_integer_constant)                                                \
  X(GDExtensionInterfaceClassdbUnregisterExtensionClass, classdb_unregister_extension_class)

typedef struct {
  GDExtensionClassLibraryPtr library;
#define DECLARE(type, name) type name;
  ENGINE_FUNCTIONS(DECLARE)
#undef DECLARE
} Engine;
extern Engine engine;

/* 0 where the engine lacks a function, as one before 4.4 does. */
int engine_open(GDExtensionInterfaceGetProcAddress find, GDExtensionClassLibraryPtr library);
/* The engine's own methods; not before its classes are there. */
int engine_find_methods(void);

void engine_error(const char *where, const char *message);

Name engine_name(const char *text);
void engine_end_name(Name *name);

/* The empty value of a type; a copy; the end of one. */
Value engine_value(Type type);
Value engine_copy(Type type, const void *value);
void engine_end(Type type, Value *value);
int engine_converts(const void *variant, Type type);
Value engine_from_variant(const void *variant, Type type);
void engine_to_variant(Type type, Value *value, void *variant);

/* Text in UTF-8, to be freed; NULL without memory. */
char *engine_text(const void *string);
Value engine_string(const char *text);

/* A Dictionary as JSON, whole numbers without a point, to be freed, and back. */
char *engine_json(const void *dictionary);
Value engine_dictionary(const char *json);

/* Packed arrays. A view is valid until the array changes. */
size_t engine_width(Type type);
size_t engine_size(Type type, const void *array);
const void *engine_view(Type type, const void *array);
/* The array's own memory with this size, NULL where that is 0. */
void *engine_resize(Type type, void *array, size_t size);

/* What res:// and user:// stand for, to be freed. */
char *engine_path(const void *path);

GDExtensionObjectPtr engine_node(void);
void engine_postinitialize(GDExtensionObjectPtr node);
void engine_process_physics(GDExtensionObjectPtr node, int on);
void engine_emit(GDExtensionObjectPtr object, const char *signal, Value *dictionary);

#endif
